import { join } from "node:path";
import { contentsOf } from "./content.ts";
import { createGate, type HookManner } from "./gate.ts";
import { serveHook } from "./hook-server.ts";
import { openJournal } from "./journal.ts";
import { createLedger } from "./ledger.ts";
import { randomOf } from "./random.ts";
import { DEFAULT_SEED, documentsAt } from "./seed.ts";
import type { SampleStore, StoreName } from "./store.ts";
import { type Connections, closeStores, openStores } from "./stores.ts";
import { type StoreState, startWriters } from "./writers.ts";

export type SampleOptions = {
  connections: Connections;
  /** Where the journal lies: none of the protected places. */
  stateDirectory: string;
  seed?: string;
  scale?: number;
  writers?: number;
  writesPerSecond?: number;
  /** 0 takes a free one. */
  port?: number;
  /** That the hook listens on; loopback where it is left out. */
  host?: string;
  token?: string;
  hook?: HookManner;
  say?: (line: string) => void;
};

export type SampleStatus = {
  /** The highest sequence number that is in every store, with all before it. */
  sequence: number;
  underWay: number;
  writesPerSecond: number;
  fence: { fenceId: string; confirmed: boolean; remainingMs: number } | null;
  stores: Partial<Record<StoreName, StoreState>>;
};

export type Sample = {
  /** `http://127.0.0.1:<port>`; the hook is at `/quiesce`. */
  url: string;
  hookUrl: string;
  journalPath: string;
  status(): SampleStatus;
  /** Rejects when a writer fails for good; resolves when the sample was stopped. */
  ended: Promise<void>;
  /** Lets writes under way end (for up to this long), then stops. What is left is finished at the next start. */
  stop(graceMs?: number): Promise<void>;
};

/** The span over which `writesPerSecond` is measured. */
const RATE_SPAN_MS = 5_000;
const GRACE_MS = 5_000;

export async function startSample(options: SampleOptions): Promise<Sample> {
  const { seed = DEFAULT_SEED, scale = 1, writers = 3, writesPerSecond = 6, say = () => {} } = options;
  const journalPath = join(options.stateDirectory, "journal.ndjson");
  const stores = openStores(options.connections);
  const documents = await documentsIn(stores).catch(async (error: unknown) => {
    await closeStores(stores);
    throw error;
  });
  const journal = openJournal(journalPath);
  const leftOver = journal.before.issued.map(({ write }) => write);
  const sequence = Math.max(journal.before.sequence, ...documents.values());
  const ledger = createLedger({
    seed,
    documents,
    sequence,
    maxDocuments: Math.round(documentsAt(scale) * 1.1) + 200,
    random: randomOf(seed, "writers", sequence),
  });
  const monotonicMs = () => performance.now();
  const gate = createGate({
    ledger,
    journal,
    monotonicMs,
    now: Date.now,
    manner: options.hook ?? { manner: "honest" },
  });
  const rate = createRate(monotonicMs);
  const stopping = new AbortController();
  const givingUp = new AbortController();

  journal.append({ event: "started", sequence, at: new Date().toISOString() });
  // Before the hook answers: an early quiesce waits for what an earlier life left under way, too.
  for (const write of leftOver) ledger.resume(write);
  const { states, ended } = startWriters({
    stores,
    ledger: {
      ...ledger,
      acknowledge(seq) {
        ledger.acknowledge(seq);
        rate.count();
      },
    },
    journal,
    content: contentsOf(seed),
    writers,
    writesPerSecond,
    mayWrite: gate.mayWrite,
    now: Date.now,
    monotonicMs,
    say,
    stopping: stopping.signal,
    givingUp: givingUp.signal,
    leftOver,
  });
  const status = (): SampleStatus => ({
    sequence: ledger.acknowledged(),
    underWay: ledger.underWay(),
    writesPerSecond: rate.perSecond(),
    fence: gate.held() ?? null,
    stores: Object.fromEntries(states),
  });
  async function stopWriters(graceMs: number): Promise<void> {
    stopping.abort();
    gate.close();
    const timer = setTimeout(() => givingUp.abort(), graceMs);
    await ended.finally(() => clearTimeout(timer));
    journal.close();
    await closeStores(stores);
  }
  const server = await serveHook({
    gate,
    status,
    journalPath,
    port: options.port ?? 0,
    host: options.host ?? "127.0.0.1",
    ...(options.token === undefined ? {} : { token: options.token }),
  }).catch(async (error: unknown) => {
    await stopWriters(GRACE_MS);
    throw error;
  });

  let stopped: Promise<void> | undefined;
  return {
    url: server.url,
    hookUrl: `${server.url}/quiesce`,
    journalPath,
    status,
    ended,
    stop(graceMs = GRACE_MS) {
      stopped ??= server.close().then(() => stopWriters(graceMs));
      return stopped;
    },
  };
}

async function documentsIn(stores: readonly SampleStore[]): Promise<Map<string, number>> {
  const [first] = stores; // all hold the same documents
  if (first === undefined) return new Map();
  if ((await first.marker())?.finished !== true) throw new Error(`${first.name} is not seeded; run seed first`);
  return first.documents();
}

function createRate(monotonicMs: () => number) {
  const times: number[] = [];
  const started = monotonicMs();
  const forget = (nowMs: number) => {
    while ((times[0] ?? nowMs) < nowMs - RATE_SPAN_MS) times.shift();
  };
  return {
    count() {
      const nowMs = monotonicMs();
      times.push(nowMs);
      forget(nowMs);
    },
    perSecond() {
      const nowMs = monotonicMs();
      forget(nowMs);
      const spanMs = Math.min(RATE_SPAN_MS, nowMs - started);
      return spanMs <= 0 ? 0 : Math.round((times.length / spanMs) * 10_000) / 10;
    },
  };
}
