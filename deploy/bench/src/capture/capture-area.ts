import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { followRun } from "@stillpoint/cli/follow";
import { requestBackup } from "@stillpoint/contracts/people";
import { BUCKETS } from "@stillpoint/contracts/topology";
import { settled } from "@stillpoint/repository/bench/compare";
import { type Figure, figure } from "@stillpoint/repository/bench/figure";
import type { Area, AreaOptions } from "../area.ts";
import { PLAN, type ShippedSystem, startShippedSystem, until, worldIn } from "../ship/shipped-system.ts";
import { startCapturedFiles } from "./captured-files.ts";
import { startCapturedNeo4j } from "./captured-neo4j.ts";
import { startCapturedPostgres } from "./captured-postgres.ts";
import { startCapturedQdrant } from "./captured-qdrant.ts";
import { startCapturedSqlite } from "./captured-sqlite.ts";
import type { CapturedStore, NativeTool, StartCaptured } from "./captured-store.ts";
import { runTool } from "./tool-on-path.ts";

const PARTS = fileURLToPath(new URL("../../../../.stillpoint/parts", import.meta.url));
const STORES: Readonly<Record<string, StartCaptured>> = {
  postgres: startCapturedPostgres,
  neo4j: startCapturedNeo4j,
  qdrant: startCapturedQdrant,
  sqlite: startCapturedSqlite,
  files: startCapturedFiles,
};
const REQUEST = { timeoutMs: 10_000 };
const NO_BOARD = { show: () => undefined, tick: () => undefined };

/** How long it took, and by how much the place grew that it writes to. */
export type Took = { ms: number; bytes: number };
export type Measured = { name: string; full: Took; again: Took[] };

/** A capture of each store, the first and after changes, beside what the store's own tools take for theirs. */
export const capture: Area = async (options) => {
  const figures: Figure[] = [];
  for (const [kind, start] of Object.entries(STORES))
    if (options.stores.length === 0 || options.stores.includes(kind))
      figures.push(...(await measureStore(start, options)));
  return figures;
};

async function measureStore(start: StartCaptured, { rounds, megabytes, log }: AreaOptions): Promise<Figure[]> {
  const base = await mkdtemp(join(tmpdir(), "stillpoint-bench-"));
  try {
    await chmod(base, 0o711); // servers that do not run as root pass through
    await using store = await start({ directory: base, partsDirectory: PARTS, megabytes, log });
    log(`${store.name}: filled`);
    await using system = await startShippedSystem(worldIn(base, PARTS, new AbortController().signal), {
      plan: { sources: { store: store.source }, schedule: [], validate: false },
      environment: store.environment,
    });
    await until("the plan is in force", async () => await isInForce(system));
    const own = { name: "stillpoint", full: await point(system), again: [] as Took[] };
    log(told(store, own.name, own.full));
    const tools: (Measured & { tool: NativeTool; directory: string })[] = [];
    for (const tool of store.tools) {
      const directory = join(base, `tool-${tools.length}`);
      await mkdir(directory, { mode: 0o777 });
      const full = await byTool(tool, directory, tool.full);
      tools.push({ tool, directory, name: tool.name, full, again: [] });
      log(told(store, tool.name, full));
    }
    for (let round = 0; round < rounds; round += 1) {
      await store.change();
      own.again.push(await point(system));
      log(told(store, own.name, own.again.at(-1)));
      for (const each of tools) {
        each.again.push(await byTool(each.tool, each.directory, each.tool.again ?? each.tool.full));
        log(told(store, each.name, each.again.at(-1)));
      }
    }
    return captureFigures(store.name, own, tools);
  } finally {
    // What was broken off may still write its last words.
    await rm(base, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  }
}

async function isInForce({ bus }: ShippedSystem): Promise<boolean> {
  return (await (await bus.bucket(BUCKETS.plans)).get(PLAN)) !== undefined;
}

/** From the request to the sealed point, which is what a person waits for. */
async function point({ bus, system, world }: ShippedSystem): Promise<Took> {
  const before = await directoryBytes(system.repository);
  await settled();
  const begun = performance.now();
  const after = await bus.lastEventSequence();
  const { runId } = await bus.request(requestBackup, {}, { plan: PLAN }, REQUEST);
  await followRun(bus, runId, after, NO_BOARD, world.signal);
  return { ms: performance.now() - begun, bytes: (await directoryBytes(system.repository)) - before };
}

async function byTool(tool: NativeTool, directory: string, work: NativeTool["full"]): Promise<Took> {
  const before = await directoryBytes(directory);
  await tool.stopped?.begin();
  try {
    await settled();
    const begun = performance.now();
    await work(directory);
    return { ms: performance.now() - begun, bytes: (await directoryBytes(directory)) - before };
  } finally {
    await tool.stopped?.end();
  }
}

function told({ name }: CapturedStore, who: string, took: Took | undefined): string {
  return `${name}, ${who}: ${((took?.ms ?? 0) / 1000).toFixed(2)} s, ${((took?.bytes ?? 0) / 1e6).toFixed(1)} MB`;
}

async function directoryBytes(directory: string): Promise<number> {
  return Number.parseInt(await runTool("du", ["-sb", directory]), 10);
}

/** The middle one by time. */
function middle(all: readonly Took[]): Took {
  return all.toSorted((a, b) => a.ms - b.ms)[(all.length - 1) >> 1] ?? { ms: Number.NaN, bytes: Number.NaN };
}

export function captureFigures(store: string, own: Measured, tools: readonly Measured[]): Figure[] {
  return (["full", "again"] as const).flatMap((step) => {
    const took = (each: Measured) => (step === "full" ? each.full : middle(each.again));
    const what = step === "full" ? "full" : "after a change";
    const row = (name: string, unit: string, of: (took: Took) => number): Figure[] => {
      const mine = figure(`${store}, ${what}: ${name}`, of(took(own)), unit);
      const beside = tools.map((tool) => {
        const peerValue = of(took(tool));
        return { ...mine, peer: tool.name, peerValue, ratio: peerValue / mine.value };
      });
      return beside.length === 0 ? [mine] : beside;
    };
    return [...row("time", "s", ({ ms }) => ms / 1000), ...row("written", "MB", ({ bytes }) => bytes / 1e6)];
  });
}
