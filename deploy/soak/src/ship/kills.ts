import { setTimeout as wait } from "node:timers/promises";
import { until } from "@stillpoint/bench/ship/shipped-system";
import type { LogPosition } from "@stillpoint/contracts/log";
import { openObjectStore } from "@stillpoint/object-store/open-object-store";
import { readKeyFile } from "@stillpoint/repository/key-file";
import { findServing } from "@stillpoint/repository/log/serve";
import { openRepository } from "@stillpoint/repository/repository";
import { below, randomOf } from "@stillpoint/sample/random";
import { shuffled } from "../draw-kill.ts";
import { endedByThemselves } from "../run-once.ts";
import { judgeFound, type WrittenStore } from "./probes.ts";
import { restoreStore } from "./restore-store.ts";
import { takeBase } from "./take-base.ts";
import { SOAKED_PLAN, type WrittenSystem } from "./written-system.ts";

export type KillOptions = {
  rounds: number;
  /** So many are killed together in each round. */
  atOnce: number;
  seed: number;
  told: (line: string) => void;
};

/** Shipping goes on within this, after whatever was killed is back: a lease that has to run out first, a shipper's patience. */
const GOES_ON_WITHIN_MS = 180_000;
const MOST_MS = 1_500;

/** A place that was held, acknowledged: what was acknowledged by the store before it must come back for ever. */
type Held = { position: LogPosition; acked: number };

/**
 * Kills each part while the logs are shipped: the stores, their agents, the vault, NATS. Afterwards each log goes on by itself; it
 * has no hole that is not recorded; every place that was held once can be restored; and when stores and agents are lost for
 * good, everything that was held by then is there. Answers what is wrong.
 */
export async function shipKills(written: WrittenSystem, options: KillOptions): Promise<string[]> {
  const { shipped, stores } = written;
  const { monotonicMs } = shipped.world.clock;
  const random = randomOf("ship-kill", options.seed);
  const held = new Map<string, Held[]>(stores.map(({ source }) => [source, []]));
  const violations: string[] = [];
  for (const store of stores) await goesOn(written, store);
  await takeBase(
    shipped,
    stores.map(({ source }) => source),
  );
  const all = victimsOf(written);
  let left: Victim[] = [];
  for (let round = 1; round <= options.rounds; round += 1) {
    if (left.length < options.atOnce) left = shuffled(random, all);
    const victims = left.splice(0, options.atOnce);
    const named = victims.map(({ name }) => name).join(" and ");
    await wait(below(random, MOST_MS), undefined, { signal: shipped.world.signal });
    const beganMs = monotonicMs();
    await Promise.all(victims.map((victim) => victim.kill()));
    for (const store of stores) held.get(store.source)?.push(await goesOn(written, store));
    const gaps: string[] = [];
    for (const { source } of stores) {
      const log = await shipped.log(source);
      gaps.push(...log.holes.flatMap(({ why }) => (why === undefined ? [] : [`${source}: ${why}`])));
      for (const hole of log.holes.filter(({ why }) => why === undefined))
        violations.push(
          `after ${named} were killed, ${source} has a hole that is not recorded: ${JSON.stringify(hole)}`,
        );
      if (!log.baseServes) await takeBase(shipped, [source]);
    }
    violations.push(...(await endedByThemselves({ system: shipped.system })));
    const took = ((monotonicMs() - beganMs) / 1_000).toFixed(1);
    options.told(`round ${round}: ${named} killed, every log goes on after ${took} s; gaps until now: ${gaps.length}`);
    for (const gap of new Set(gaps)) options.told(`    ${gap}`);
  }
  violations.push(...(await unservable(written, held)));
  violations.push(...(await loseAll(written, options.told)));
  return violations;
}

/** What a kill ends, and starts again. */
type Victim = { name: string; kill: () => Promise<void> };

function victimsOf({ shipped, stores, agents }: WrittenSystem): Victim[] {
  const { processes, broker } = shipped.system;
  const ours = [...agents, ...processes.filter(({ name }) => name === "vault"), { ...handles(broker), name: "nats" }];
  return [
    ...stores.map((store) => ({ name: store.source, kill: () => store.crash() })),
    ...ours.map((each) => ({ name: each.name, kill: () => each.kill().then(() => each.restart()) })),
  ];
}

function handles(broker: { kill: () => Promise<void>; restart: () => Promise<void> }) {
  return { kill: () => broker.kill(), restart: () => broker.restart() };
}

/** Waits until everything that is committed now is held; the place, and what the store had acknowledged before. */
async function goesOn({ shipped }: WrittenSystem, store: WrittenStore): Promise<Held> {
  const acked = store.probes().acked.at(-1)?.n ?? 0;
  const place = await store.place();
  let position: LogPosition | undefined;
  const isHeld = async () => {
    position = (await shipped.log(store.source)).held;
    return position !== undefined && position.at >= place;
  };
  await until(`the log of ${store.source} is held up to ${place}`, isHeld, GOES_ON_WITHIN_MS);
  if (position === undefined) throw new TypeError("unreachable: it was held");
  return { position, acked };
}

/** Places that were held once and cannot be restored. */
async function unservable({ shipped }: WrittenSystem, held: ReadonlyMap<string, readonly Held[]>): Promise<string[]> {
  await using objects = await openObjectStore(shipped.system.repository, { environment: {} });
  const passphrase = await readKeyFile(shipped.system.keyFile);
  await using repository = await openRepository(objects, { passphrase, threads: 0 });
  const lost: string[] = [];
  for (const [source, places] of held) {
    const log = await repository.sourceLog({ plan: SOAKED_PLAN, source });
    for (const { position } of places)
      if (findServing(log, position) === undefined && !isInGap(log.gaps, position))
        lost.push(`${source}: ${position.at} was held, and cannot be restored`);
  }
  return lost;
}

/** Behind a recorded gap, before the base that ends it: held, and with nothing to lay it over. */
function isInGap(gaps: readonly { until?: LogPosition | undefined }[], { stream, at }: LogPosition): boolean {
  return gaps.some(({ until: ends }) => ends !== undefined && ends.stream === stream && ends.at <= at);
}

/** The stores and their agents are gone at once, and so is the stores' disk: what was held by then is restored. */
async function loseAll(
  { shipped, stores, agents, restoring }: WrittenSystem,
  told: (line: string) => void,
): Promise<string[]> {
  const before = await Promise.all(
    stores.map(async (store) => {
      const places = { acked: store.probes().acked.length, place: await store.place() };
      return { store, ...places };
    }),
  );
  // What was acknowledged by then is what the log is held up to now, or less: the smaller number counts.
  const lastHeld = new Map<string, number>();
  for (const { store, acked, place } of before) {
    await until(`${store.source} is held`, async () => ((await shipped.log(store.source)).held?.at ?? "") >= place);
    lastHeld.set(store.source, acked);
  }
  await Promise.all([...stores.map((store) => store.lose()), ...agents.map((agent) => agent.kill())]);
  const violations: string[] = [];
  for (const store of stores) {
    const { found, closed, tails, ms } = await restoreStore(restoring, store, "latest");
    const wrong = judgeFound(store.probes(), found, { heldMs: 0, nothingAfterMs: Number.POSITIVE_INFINITY });
    const least = lastHeld.get(store.source) ?? 0;
    if (found.newest < least) wrong.push(`row ${least} was held, and ${found.newest} is the newest`);
    told(
      `${wrong.length === 0 ? "✓" : "✗"} ${store.source} lost with its agent: ${found.rows} of ${store.probes().acked.length} rows come back, ${least} were held; ${closed} closed stretches and ${tails} flushes (${(ms / 1_000).toFixed(1)} s)`,
    );
    violations.push(...wrong.map((each) => `${store.source}, lost with its agent: ${each}`));
  }
  return violations;
}
