import { setTimeout as wait } from "node:timers/promises";
import { until } from "@stillpoint/bench/ship/shipped-system";
import type { World } from "@stillpoint/cli/world";
import { vaultLog } from "@stillpoint/contracts/vault";
import { fraction, randomOf } from "@stillpoint/sample/random";
import neo4j from "neo4j-driver";
import { PLAN, SOURCE, startGraphSystem } from "../neo4j-moments/graph-system.ts";
import { openBank, startGraphWriters, sumOf } from "../neo4j-moments/graph-writers.ts";
import { judgeMoment, nameOf } from "../neo4j-moments/judge-moment.ts";
import { restoreGraph } from "../neo4j-moments/restore-graph.ts";
import { numbersOf } from "../numbers.ts";
import { runOnce } from "../run-once.ts";
import { judgeFound, type WrittenStore } from "./probes.ts";
import { restoreStore } from "./restore-store.ts";
import { takeBase } from "./take-base.ts";
import { startWrittenSystem } from "./written-system.ts";

const USAGE = `npm run soak -- rpo [--rounds 5] [--seed N] [--every 200] [--graph 1]
  --graph 0.1  (anything below 1) leaves Neo4j out
  --rounds N   crashes at each setting
  --every N    ms between two rows of the probe`;

/** By the plan's words, and how much may be lost at most. */
const SETTINGS = [
  { flush: "5s", mostMs: 10_000 },
  { flush: "1s", mostMs: 2_000 },
] as const;
const RUN_MS = 12_000;

/** How much is lost: the age of the oldest row that does not come back, at the moment of the crash. Pure. */
export function lostMs({ acked }: ReturnType<WrittenStore["probes"]>, newest: number, crashedMs: number): number {
  const first = acked.find(({ n, ackedMs }) => n > newest && ackedMs <= crashedMs);
  return first === undefined ? 0 : crashedMs - first.ackedMs;
}

/** Crashes stores together with their agents, with their disk gone, and measures what does not come back. */
export async function soakRpo(world: World, args: readonly string[]): Promise<string[]> {
  const ownSeed = 1 + (world.clock.now() % 1_000_000);
  const { rounds, seed, every, graph } = numbersOf(args, { rounds: 5, seed: ownSeed, every: 200, graph: 1 }, USAGE);
  const random = randomOf("rpo", seed);
  const told = (line: string) => world.out(`${line}\n`);
  told(`rpo: ${rounds} crashes at each setting, a row each ${every} ms, seed ${seed}`);
  const violations: string[] = [];
  for (const { flush, mostMs } of SETTINGS) {
    const losses = new Map<string, number[]>();
    for (let round = 1; round <= rounds; round += 1) {
      const crashes = await crash(world, flush, every, fraction(random));
      if (graph >= 1) crashes.push(await crashGraph(world, flush, every, fraction(random)));
      for (const { source, kind, lost, rows, wrong } of crashes) {
        losses.set(kind, [...(losses.get(kind) ?? []), lost]);
        told(`flush ${flush}, crash ${round}: ${kind} lost ${rows} rows, the oldest of them ${seconds(lost)} old`);
        violations.push(...wrong.map((each) => `flush ${flush}, ${source}: ${each}`));
      }
    }
    for (const [kind, lost] of losses) {
      const most = Math.max(...lost);
      const middle = lost.toSorted((a, b) => a - b)[lost.length >> 1] ?? 0;
      const reached = most <= mostMs ? "reaches" : "misses";
      told(
        `${kind}, flush ${flush}: at most ${seconds(most)} lost, middle ${seconds(middle)}; ${reached} ${seconds(mostMs)}`,
      );
      if (most > mostMs) violations.push(`${kind} lost ${seconds(most)} with a flush of ${flush}`);
    }
  }
  return violations;
}

type Crash = { source: string; kind: "postgres" | "sqlite" | "neo4j"; lost: number; rows: number; wrong: string[] };

async function crash(world: World, flush: string, everyMs: number, drawn: number): Promise<Crash[]> {
  await using written = await startWrittenSystem(world, {
    load: { everyMs, changes: 5, settings: {} },
    flush,
    plan: { schedule: [], validate: false },
    environment: { STILLPOINT_MAINTENANCE: "gc: off; scrub: off; check: off" },
  });
  const { shipped, stores, agents, restoring } = written;
  await takeBase(
    shipped,
    stores.map(({ source }) => source),
  );
  await wait(RUN_MS / 2 + drawn * RUN_MS, undefined, { signal: world.signal });
  const crashedMs = Date.now();
  await Promise.all([...agents.map((agent) => agent.kill()), ...stores.map((store) => store.lose())]);
  const results: Crash[] = [];
  for (const store of stores) {
    const probes = store.probes();
    const { found } = await restoreStore(restoring, store, "latest");
    const wrong = judgeFound(probes, found, { heldMs: 0, nothingAfterMs: Number.POSITIVE_INFINITY });
    const rows = probes.acked.filter(({ n, ackedMs }) => n > found.newest && ackedMs <= crashedMs).length;
    const lost = lostMs(probes, found.newest, crashedMs);
    results.push({ source: store.source, kind: store.kind, lost, rows, wrong });
  }
  return results;
}

/** The same of Neo4j, by the system that restores it to moments. */
async function crashGraph(world: World, flush: string, everyMs: number, drawn: number): Promise<Crash> {
  await using graph = await startGraphSystem(world, { flush });
  const { server, system } = graph;
  await using driver = neo4j.driver(server.url, neo4j.auth.basic(server.user, server.password), {
    connectionAcquisitionTimeout: 5_000,
    connectionTimeout: 2_000,
  });
  const load = { writers: 1, accounts: 50, pauseMs: everyMs };
  await openBank(driver, load);
  const bank = startGraphWriters(driver, load);
  const end = await runOnce(graph, PLAN);
  if (end.how !== "finished") throw new Error(`no base of Neo4j was made: ${end.reason}`);
  const isServed = async () =>
    (await graph.bus.request(vaultLog, {}, { plan: PLAN, source: SOURCE }, { timeoutMs: 30_000, patienceMs: 60_000 }))
      .baseServes;
  await until("a base serves what is newest of Neo4j", isServed);
  await wait(RUN_MS / 2 + drawn * RUN_MS, undefined, { signal: world.signal });
  const agents = system.processes.filter(({ name }) => name === "agents");
  const crashedMs = Date.now();
  await Promise.all([server.kill(), ...agents.map((agent) => agent.kill())]);
  await bank.stop();
  const restored = await restoreGraph(graph, "latest");
  const wrong = judgeMoment(bank.written, { at: "latest" }, restored, sumOf(load));
  const lostOnes = bank.written.flatMap((write) => {
    const { acknowledged } = write;
    const isLost = acknowledged !== undefined && acknowledged.ms <= crashedMs && !restored.writes.has(nameOf(write));
    return isLost ? [crashedMs - acknowledged.ms] : [];
  });
  return { source: SOURCE, kind: "neo4j", lost: Math.max(0, ...lostOnes), rows: lostOnes.length, wrong };
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
