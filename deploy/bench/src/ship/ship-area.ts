import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { PlanInput } from "@stillpoint/contracts/plan";
import { atMost, type Figure, figure } from "@stillpoint/repository/bench/figure";
import type { Area, AreaOptions } from "../area.ts";
import { startMeasuredPostgres } from "./measured-postgres.ts";
import { measuredSqlite } from "./measured-sqlite.ts";
import type { MeasuredStore, StartMeasured } from "./measured-store.ts";
import { cpuMsOf } from "./process-time.ts";
import { type ShippedSystem, startShippedSystem, until, worldIn } from "./shipped-system.ts";

const PARTS = fileURLToPath(new URL("../../../../.stillpoint/parts", import.meta.url));
const SOURCE = "store";
const GOAL_PERCENT = 5;

const STORES: Readonly<Record<string, StartMeasured>> = {
  PostgreSQL: startMeasuredPostgres,
  "SQLite, payments": measuredSqlite("payments"),
  "SQLite, rows": measuredSqlite("rows"),
};

type Round = { rate: number; cpuMs: number };
/** With shipping and without, one right after the other. */
export type Pair = { on: Round; off: Round };

/** What shipping costs a store under full load: its throughput with and without, in turns. */
export const ship: Area = async (options) => {
  const figures: Figure[] = [];
  for (const [name, start] of Object.entries(STORES)) figures.push(...(await measureStore(name, start, options)));
  return figures;
};

async function measureStore(
  name: string,
  start: StartMeasured,
  { rounds, seconds, log }: AreaOptions,
): Promise<Figure[]> {
  const base = await mkdtemp(join(tmpdir(), "stillpoint-bench-"));
  try {
    await chmod(base, 0o711); // servers that do not run as root pass through
    await using store = await start(base, PARTS, log);
    await using system = await startShippedSystem(worldIn(base, PARTS, new AbortController().signal), {
      plan: planOf(store, "off"),
      environment: store.environment,
    });
    await store.measure(Math.min(seconds, 5)); // what is done once only is nobody's
    const pairs: Pair[] = [];
    for (let round = 0; round < rounds; round += 1) {
      // The first of two has a colder disk: each comes first as often.
      const first = round % 2 === 0 ? "on" : "off";
      const one = await runRound(store, system, first, seconds);
      const other = await runRound(store, system, first === "on" ? "off" : "on", seconds);
      const pair = first === "on" ? { on: one, off: other } : { on: other, off: one };
      pairs.push(pair);
      log(
        `${name}: ${pair.off.rate.toFixed(0)}/s without, ${pair.on.rate.toFixed(0)}/s with: ${costOf(pair).toFixed(1)} %`,
      );
    }
    return shipFigures(name, pairs, seconds);
  } finally {
    await rm(base, { recursive: true, force: true });
  }
}

function planOf(store: MeasuredStore, ship: "off" | { flush?: string }): PlanInput {
  return { sources: { [SOURCE]: store.source(ship) }, schedule: [], validate: false };
}

async function runRound(store: MeasuredStore, system: ShippedSystem, how: keyof Pair, seconds: number): Promise<Round> {
  const isOn = how === "on";
  if (isOn) await system.acceptAndSee(planOf(store, {}), SOURCE, "started");
  await store.settle();
  const ours = system.system.processes.filter(({ name }) => name === `agent-${store.kind}` || name === "vault");
  const cpuMs = async () => {
    const each = await Promise.all(ours.map(({ pid }) => cpuMsOf(pid)));
    return each.reduce((sum, ms) => sum + ms, 0);
  };
  const before = await cpuMs();
  const rate = await store.measure(seconds);
  const round = { rate, cpuMs: (await cpuMs()) - before };
  if (isOn) {
    await until("all of it is shipped", async () => (await system.log(SOURCE)).held !== undefined);
    await system.acceptAndSee(planOf(store, "off"), SOURCE, "stopped");
  }
  return round;
}

/** What shipping took of the throughput, in %. */
export function costOf({ on, off }: Pair): number {
  return (1 - on.rate / off.rate) * 100;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const [below = Number.NaN, above = Number.NaN] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return (below + above) / 2;
}

export function shipFigures(name: string, pairs: readonly Pair[], seconds: number): Figure[] {
  const costs = pairs.map(costOf);
  return [
    figure(`${name}, without shipping`, median(pairs.map(({ off }) => off.rate)), "commits/s"),
    figure(`${name}, with shipping`, median(pairs.map(({ on }) => on.rate)), "commits/s"),
    atMost(`${name}, cost of shipping, middle of ${pairs.length} pairs`, median(costs), "%", GOAL_PERCENT),
    figure(`${name}, cost of shipping, least`, Math.min(...costs), "%"),
    figure(`${name}, cost of shipping, most`, Math.max(...costs), "%"),
    figure(`${name}, agent and vault of one core`, median(pairs.map(({ on }) => on.cpuMs / seconds / 10)), "%"),
  ];
}
