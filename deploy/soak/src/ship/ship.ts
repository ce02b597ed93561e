import { setTimeout as wait } from "node:timers/promises";
import type { World } from "@stillpoint/cli/world";
import { openObjectStore } from "@stillpoint/object-store/open-object-store";
import { readKeyFile } from "@stillpoint/repository/key-file";
import { openRepository } from "@stillpoint/repository/repository";
import { numbersOf } from "../numbers.ts";
import { endedByThemselves } from "../run-once.ts";
import { pssBytesOf } from "./memory.ts";
import { tellNotableEvents } from "./notable-events.ts";
import { repositoryFigures } from "./repository-figures.ts";
import { restoresAtEnd } from "./restores-at-end.ts";
import { mebibytes, type Sample, verdict } from "./verdict.ts";
import { SOAKED_PLAN, startWrittenSystem, type WrittenSystem } from "./written-system.ts";

const USAGE = `npm run soak -- ship [--minutes 60] [--rate 10] [--seed N] [--moments 2]
  --rate N      times as fast as by default: a flush every 5 s, a point every 5 minutes, a segment of PostgreSQL as often
  --moments N   drawn ones that each store is restored to at the end, besides the newest and the newest point`;

const FLUSH_MS = 5_000;
const POINTS_MS = 300_000;
const CHECKPOINT_MS = 300_000;
/** Of what is written, between two rows at the default rate. */
const ROW_MS = 1_000;
const CHANGES = 40;
const SAMPLES = 24;
/** Index objects: an hour does not write as many as a day. */
const MERGE_FROM = 60;

type Numbers = { minutes: number; rate: number; seed: number; moments: number };

/** A day's worth of shipping in small: what is kept stays bounded, and any moment of what is kept comes back. */
export async function soakShip(world: World, args: readonly string[]): Promise<string[]> {
  const ownSeed = 1 + (world.clock.now() % 1_000_000);
  const numbers = numbersOf(args, { minutes: 60, rate: 10, seed: ownSeed, moments: 2 }, USAGE);
  const { minutes, rate } = numbers;
  const spanMs = minutes * 60_000;
  const keepLogMs = Math.round(spanMs / 8);
  await using written = await startWrittenSystem(world, {
    load: {
      everyMs: ROW_MS / rate,
      changes: CHANGES,
      settings: { checkpoint_timeout: `${Math.max(30, CHECKPOINT_MS / rate / 1_000)}s` },
    },
    flush: `${Math.max(100, Math.round(FLUSH_MS / rate))}ms`,
    // As long as the log is kept, as by default: points keep it from their base on.
    base: `${Math.max(300, Math.round(keepLogMs / 1_000))}s`,
    plan: {
      schedule: [`every ${Math.max(1, Math.round(POINTS_MS / rate / 1_000))}s`],
      keep: { log: `${keepLogMs}ms`, points: { last: 4 }, minimum: 1 },
      validate: false,
    },
    environment: {
      STILLPOINT_MAINTENANCE: "retain: every 20s; gc: off; check: every 1m; scrub: off",
    },
  });
  const say = (line: string) => world.out(`${line}\n`);
  say(`ship: ${minutes} minutes at ${rate} times the rate, seed ${numbers.seed}, in ${written.directory}`);
  await using _telling = await tellNotableEvents(written.shipped.bus, say);
  const { samples, violations } = await shipFor(written, numbers, keepLogMs, say);
  const grown = verdict(samples);
  for (const each of grown) say(`  ✗ ${each}`);
  return [...violations, ...grown, ...(await restoresAtEnd(written, numbers, keepLogMs, say))];
}

async function shipFor(written: WrittenSystem, { minutes }: Numbers, keepLogMs: number, say: (line: string) => void) {
  const { shipped, stores } = written;
  const { system, world } = shipped;
  const spanMs = minutes * 60_000;
  await using objects = await openObjectStore(system.repository, { environment: {} });
  const passphrase = await readKeyFile(system.keyFile);
  await using repository = await openRepository(objects, { passphrase, threads: 1 });
  // A day, in this soak's time: what is long in the product must be over several times before the end.
  const graceMs = Math.max(10_000, Math.round(spanMs / 40));
  const settings = {
    undeleteMs: graceMs,
    unsealedMs: 3 * graceMs,
    graceMs,
    youngMs: graceMs,
    keepLogMs: () => keepLogMs,
    mergeFrom: MERGE_FROM,
  };
  const everyMs = spanMs / SAMPLES;
  const lateMs = 2 * graceMs + 3 * everyMs;
  const sources = stores.map(({ source }) => source);
  const samples: Sample[] = [];
  const violations: string[] = [];
  const beganMs = world.clock.monotonicMs();
  const pids = () => [
    ...system.processes.map(({ name, pid }) => [name, pid] as const),
    ["nats", system.broker.pid] as const,
  ];
  for (let sample = 1; sample <= SAMPLES; sample += 1) {
    const dueMs = beganMs + sample * everyMs;
    await wait(Math.max(0, dueMs - world.clock.monotonicMs()), undefined, { signal: world.signal });
    const { freed, condemned, waitsFor } = await repository.collectGarbage({ settings, signal: world.signal });
    const figures = await repositoryFigures(objects, repository, SOAKED_PLAN, sources, lateMs);
    const pss = new Map<string, number>();
    for (const [name, pid] of pids()) {
      const bytes = await pssBytesOf(pid);
      if (bytes !== undefined) pss.set(name, bytes);
    }
    samples.push({ atMs: world.clock.monotonicMs() - beganMs, ...figures, pss });
    const rows = stores.map((store) => `${store.source} ${store.probes().acked.length} rows`);
    const points = (await Array.fromAsync(repository.points())).length;
    const kinds = Object.entries(figures.kinds).map(([kind, count]) => `${kind} ${count}`);
    say(
      `${((samples.at(-1)?.atMs ?? 0) / 60_000).toFixed(1)} min: ${rows.join(", ")}; ${points} points; ${figures.objects} objects (${kinds.join(", ")}), ${mebibytes(figures.bytes)}; freed ${freed.objects}, condemned ${condemned.objects}${waitsFor.length === 0 ? "" : `, waits for ${waitsFor.join(", ")}`}; ${figures.overdue} overdue`,
    );
    say(`    PSS: ${[...pss].map(([name, bytes]) => `${name} ${mebibytes(bytes)}`).join(", ")}`);
    const ended = await endedByThemselves({ system });
    const broken = stores.flatMap((store) => store.broken() ?? []);
    const holes: string[] = [];
    for (const source of sources) {
      const log = await shipped.log(source);
      const recorded = log.holes.filter(({ why }) => why !== undefined);
      if (recorded.length > 0) holes.push(`${source} has a hole: ${JSON.stringify(recorded)}`);
      if (log.damaged.length > 0) holes.push(`${source} has damage: ${log.damaged.join(", ")}`);
      // What was let go leaves points that stand alone before it; what is kept is one window.
      const newest = log.windows.at(-1);
      const keptMs = Date.now() - keepLogMs;
      const [first] = log.windows.map(({ fromAt }) => Date.parse(fromAt)).sort((a, b) => a - b);
      if (newest !== undefined && Math.max(first ?? 0, keptMs) < Date.parse(newest.fromAt))
        holes.push(`${source} can be had from ${newest.fromAt} on, and its log is kept for ${keepLogMs / 1_000} s`);
    }
    for (const found of [...ended, ...broken, ...holes]) {
      if (!violations.includes(found)) say(`  ✗ ${found}`);
      violations.push(found);
    }
  }
  return { samples, violations: [...new Set(violations)] };
}
