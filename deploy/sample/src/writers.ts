import { setTimeout as after } from "node:timers/promises";
import type { Content } from "./content.ts";
import type { Journal } from "./journal.ts";
import type { Ledger } from "./ledger.ts";
import type { SampleStore, StoreName, Write } from "./store.ts";

export type WritersOptions = {
  stores: readonly SampleStore[];
  ledger: Ledger;
  journal: Journal;
  content: (seq: number, id: string) => Content;
  writers: number;
  writesPerSecond: number;
  /** Resolves at once where no fence is held, else when it ends. */
  mayWrite: () => Promise<void> | undefined;
  now: () => number;
  monotonicMs: () => number;
  say: (line: string) => void;
  /** No further write begins. */
  stopping: AbortSignal;
  /** Writes under way are left as they are. */
  givingUp: AbortSignal;
  /** Writes of an earlier life, already resumed in the ledger; they come first. */
  leftOver: readonly Write[];
};

export type StoreState = { state: "ok" } | { state: "down"; reason: string };

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;
/** Shorter trouble (a lock, a deadlock) is retried without a word. */
const QUIET_ATTEMPTS = 3;

/** `states` says at any time how each store is; `ended` rejects only for what is a defect. */
export function startWriters(options: WritersOptions) {
  const states = new Map<StoreName, StoreState>(options.stores.map(({ name }) => [name, { state: "ok" }]));
  return { states, ended: work(options, states) };
}

async function work(options: WritersOptions, states: Map<StoreName, StoreState>): Promise<void> {
  const unlessStopped = (error: unknown) => {
    if (!options.stopping.aborted) throw error;
  };
  for (const write of options.leftOver) await carryOut(options, states, write).catch(unlessStopped);
  // Each writer ends by itself, so that one that rests at the stop does not take the others' writes with it.
  const writers = Array.from({ length: options.writers }, (_, writer) => loop(options, states, writer));
  await Promise.all(writers.map((writer) => writer.catch(unlessStopped)));
}

async function loop(options: WritersOptions, states: Map<StoreName, StoreState>, writer: number): Promise<void> {
  const { ledger, journal, now, monotonicMs, stopping } = options;
  const pauseMs = (options.writers * 1_000) / options.writesPerSecond;
  // Writers begin spread over the pause, so that writes come evenly.
  await after((pauseMs * writer) / options.writers, undefined, { signal: stopping });
  while (true) {
    for (let wait = options.mayWrite(); wait !== undefined && !stopping.aborted; wait = options.mayWrite()) await wait;
    stopping.throwIfAborted();
    // From the look at the fence to the issue nothing is awaited: a fence cannot come in between.
    const startedMs = monotonicMs();
    const write = ledger.issue();
    journal.append({ event: "issued", write, at: new Date(now()).toISOString() });
    await carryOut(options, states, write);
    await after(Math.max(0, pauseMs - (monotonicMs() - startedMs)), undefined, { signal: stopping });
  }
}

/** Brings one write into every store, however long that takes; then it is acknowledged. */
async function carryOut(options: WritersOptions, states: Map<StoreName, StoreState>, write: Write): Promise<void> {
  const content = options.content(write.seq, write.id);
  await Promise.all(options.stores.map((store) => persist(options, states, store, write, content)));
  options.journal.append({ event: "acknowledged", seq: write.seq });
  options.ledger.acknowledge(write.seq);
}

async function persist(
  { say, givingUp }: WritersOptions,
  states: Map<StoreName, StoreState>,
  store: SampleStore,
  write: Write,
  content: Content,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    givingUp.throwIfAborted();
    try {
      await store.apply(write, content);
      if (states.get(store.name)?.state === "down") say(`${store.name} is back; the writers go on`);
      states.set(store.name, { state: "ok" });
      return;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (attempt >= QUIET_ATTEMPTS && states.get(store.name)?.state === "ok") {
        say(`${store.name} is down (${reason}); the writers wait and try again`);
        states.set(store.name, { state: "down", reason });
      }
      await after(Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (attempt - 1)), undefined, { signal: givingUp });
    }
  }
}
