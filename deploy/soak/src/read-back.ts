import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { restoreTree } from "@stillpoint/agent/restore-tree";
import { driverOf, startSandbox } from "@stillpoint/cli/drivers";
import { pointLogFrom, repositoryLog } from "@stillpoint/cli/log-pieces";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { Point, PointSource } from "@stillpoint/contracts/point";
import type { Sandbox } from "@stillpoint/driver/driver";
import { claimDirectory } from "@stillpoint/driver/sandbox-record";
import { openFiles } from "@stillpoint/sample/files-store";
import { PLACES } from "@stillpoint/sample/plan";
import { openSqlite } from "@stillpoint/sample/sqlite-store";
import type { SampleStore } from "@stillpoint/sample/store";
import type { SoakedSystem } from "./soaked-system.ts";

/** What a restored store holds of the application's documents. */
export type Held = { ids: ReadonlySet<string>; sequences: ReadonlySet<number> };

/** Restores every source of a point by its driver, side by side, and reads them back; nothing of it stays. */
export async function readBack(soaked: SoakedSystem, point: Point): Promise<Map<string, Held>> {
  const held = await Promise.all(
    point.sources.map(async (source) => [source.source, await readSource(soaked, point.plan, source)] as const),
  );
  return new Map(held);
}

async function readSource(soaked: SoakedSystem, plan: string, source: PointSource): Promise<Held> {
  await using home = await claimDirectory(soaked.scratch, "restored");
  await chmod(home.path, 0o711); // servers run as an account of their own, which passes through
  const tree = join(home.path, "tree");
  const { mark } = await restoreTree(tree, source.backups, source.mark, {
    extract: (backupId, into, { keepOwners }) =>
      soaked.repository.restoreFiles(backupId, into, { keepOwners, signal: soaked.world.signal }),
    driver: await driverOf(source.kind),
    readLog: pointLogFrom(repositoryLog(soaked.repository, soaked.world.signal), { plan, source: source.source }),
    signal: soaked.world.signal,
    keepOwners: false,
    progress: () => undefined,
  });
  // Awaited here: the tree goes when this function is left.
  if (source.kind === "sqlite") return await heldBy(openSqlite({ path: join(tree, "sessions.db") }));
  if (source.kind === "files") return await heldBy(openFiles({ directory: tree }));
  const own = join(home.path, "own");
  await mkdir(own, { mode: 0o700 });
  const { clock, signal } = soaked.world;
  const { runtime } = source;
  await using sandbox = await startSandbox(
    source.kind,
    { directory: tree, mark, runtime },
    {
      directory: own,
      signal,
      tools: soaked.tools,
      monotonicMs: clock.monotonicMs,
      now: clock.now,
      log: () => undefined,
      secret: (reference) => {
        throw new StillpointError("SECRET_MISSING", {
          what: "A restore asked for a secret of the source",
          where: reference,
        });
      },
    },
  );
  const places = placesOf(source.source);
  const ids = await valuesOf(sandbox, places.id);
  const sequences = await valuesOf(sandbox, places.seq);
  return { ids: new Set(ids), sequences: new Set(sequences.map(Number)) };
}

/** A restored SQLite database and restored files are what the application itself opens. */
async function heldBy(store: SampleStore): Promise<Held> {
  try {
    const documents = await store.documents();
    return { ids: new Set(documents.keys()), sequences: new Set(documents.values()) };
  } finally {
    await store.close();
  }
}

/** Locators in the source, without its name before them. */
function placesOf(source: string): { id: string; seq: string } {
  const [, places] = Object.entries(PLACES).find(([name]) => name === source) ?? [];
  if (places === undefined) throw new Error(`the sample has no source ${source}`);
  const within = (place: string) => place.slice(source.length + 1);
  return { id: within(places.id), seq: within(places.seq) };
}

async function valuesOf(sandbox: Sandbox, of: string): Promise<string[]> {
  const values: string[] = [];
  for await (const row of sandbox.query({ type: "values", id: "values", of })) {
    if ("value" in row) values.push(row.value);
  }
  return values;
}
