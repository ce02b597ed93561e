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
import { type Processors, processors } from "./processors.ts";
import { type ShippedSystem, startShippedSystem, until, worldIn } from "./shipped-system.ts";

const PARTS = fileURLToPath(new URL("../../../../.stillpoint/parts", import.meta.url));
const SOURCE = "store";
const GOAL_PERCENT = 5;

const STORES: readonly { name: string; kind: MeasuredStore["kind"]; start: StartMeasured }[] = [
  { name: "PostgreSQL", kind: "postgres", start: startMeasuredPostgres },
  { name: "SQLite, payments", kind: "sqlite", start: measuredSqlite("payments") },
  { name: "SQLite, rows", kind: "sqlite", start: measuredSqlite("rows") },
];

type Round = { rate: number; cpuMs: number; loggedBytes?: number };
/** With shipping, without, and with the peer's, one right after the other. */
export type Turn = { on: Round; off: Round; peer?: Round };

const WAYS = { on: "with shipping", off: "without", peer: "with the peer's" } as const;
type Way = keyof typeof WAYS;

/** What shipping costs a store under full load: its throughput with and without, and with its maker's own tool, in turns. */
export const ship: Area = async (options) => {
  const figures: Figure[] = [];
  const places = processors(options.apart);
  for (const { name, kind, start } of STORES)
    if (options.stores.length === 0 || options.stores.includes(kind))
      figures.push(...(await measureStore(name, start, places, options)));
  return figures;
};

async function measureStore(
  name: string,
  start: StartMeasured,
  { ofStore, ofOthers, besideStore }: Processors,
  { rounds, seconds, apart, log }: AreaOptions,
): Promise<Figure[]> {
  const base = await mkdtemp(join(tmpdir(), "stillpoint-bench-"));
  try {
    await chmod(base, 0o711); // servers that do not run as root pass through
    await ofStore();
    await using store = await start({ directory: base, partsDirectory: PARTS, besideStore, log });
    await ofOthers();
    await using system = await startShippedSystem(worldIn(base, PARTS, new AbortController().signal), {
      plan: planOf(store, "off"),
      environment: store.environment,
    });
    await store.settle();
    await store.measure(Math.min(seconds, 5)); // what is done once only is nobody's
    const ways: Way[] = store.peer === undefined ? ["on", "off"] : ["on", "off", "peer"];
    const turns: Turn[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const found: Partial<Turn> = {};
      // The first has a colder disk: each comes first in its turn.
      for (let i = 0; i < ways.length; i += 1) {
        const way = ways[(round + i) % ways.length] ?? "off";
        found[way] = await runRound(store, system, way, seconds);
        log(`${name}, ${WAYS[way]}: ${found[way].rate.toFixed(0)} commits/s`);
      }
      const { on, off, peer } = found;
      if (on !== undefined && off !== undefined) turns.push({ on, off, ...(peer && { peer }) });
    }
    return shipFigures(apart ? `${name} apart` : name, turns, seconds, store.peer?.name);
  } finally {
    await rm(base, { recursive: true, force: true });
  }
}

function planOf(store: MeasuredStore, ship: "off" | { flush?: string }): PlanInput {
  return { sources: { [SOURCE]: store.source(ship) }, schedule: [], validate: false };
}

async function runRound(store: MeasuredStore, system: ShippedSystem, way: Way, seconds: number): Promise<Round> {
  await store.settle();
  if (way === "on") await system.acceptAndSee(planOf(store, {}), SOURCE, "started");
  const ours = system.system.processes.filter(({ name }) => name === `agent-${store.kind}` || name === "vault");
  const cpuMs = async () => {
    const each = await Promise.all(ours.map(({ pid }) => cpuMsOf(pid)));
    return each.reduce((sum, ms) => sum + ms, 0);
  };
  await using _peer = way === "peer" ? await store.peer?.start() : undefined;
  const before = { cpuMs: await cpuMs(), logged: await store.logged?.() };
  const rate = await store.measure(seconds);
  const round: Round = { rate, cpuMs: (await cpuMs()) - before.cpuMs };
  const logged = await store.logged?.();
  if (logged !== undefined && before.logged !== undefined) round.loggedBytes = logged - before.logged;
  if (way === "on") {
    await until("all of it is shipped", async () => (await system.log(SOURCE)).held !== undefined);
    await system.acceptAndSee(planOf(store, "off"), SOURCE, "stopped");
  }
  return round;
}

/** What a round lost against one without, in %. */
function costOf(round: Round, off: Round): number {
  return (1 - round.rate / off.rate) * 100;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const [below = Number.NaN, above = Number.NaN] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return (below + above) / 2;
}

export function shipFigures(name: string, turns: readonly Turn[], seconds: number, peerName?: string): Figure[] {
  const costs = turns.map(({ on, off }) => costOf(on, off));
  const peers = turns.flatMap(({ peer, off }) => (peer === undefined ? [] : [costOf(peer, off)]));
  const logged = turns.flatMap(({ on: { loggedBytes } }) => (loggedBytes === undefined ? [] : [loggedBytes]));
  return [
    figure(`${name}, without shipping`, median(turns.map(({ off }) => off.rate)), "commits/s"),
    figure(`${name}, with shipping`, median(turns.map(({ on }) => on.rate)), "commits/s"),
    ...(logged.length === 0 ? [] : [figure(`${name}, its log grew by`, median(logged) / seconds / 1e6, "MB/s")]),
    atMost(`${name}, cost of shipping, middle of ${turns.length} turns`, median(costs), "%", GOAL_PERCENT),
    figure(`${name}, cost of shipping, least`, Math.min(...costs), "%"),
    figure(`${name}, cost of shipping, most`, Math.max(...costs), "%"),
    ...(peers.length === 0 ? [] : [figure(`${name}, cost of ${peerName}, middle`, median(peers), "%")]),
    figure(`${name}, agent and vault of one core`, median(turns.map(({ on }) => on.cpuMs / seconds / 10)), "%"),
  ];
}
