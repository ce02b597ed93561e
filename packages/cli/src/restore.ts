import { mkdir, readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { type Extract, type ExtractOptions, restoreTree } from "@stillpoint/agent/restore-tree";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { Mark, Point, PointSource } from "@stillpoint/contracts/point";
import { driverOf } from "./drivers.ts";
import { bytes, rate, span } from "./figures.ts";
import type { KeyOptions } from "./key/key-options.ts";
import { pointLogFrom } from "./log-pieces.ts";
import { type PointReader, repositoryReader, vaultReader } from "./point-reader.ts";
import { stillAlive } from "./still-alive.ts";
import { tablespacePlaces } from "./tablespaces.ts";
import { coldShown, thawFirst } from "./thaw-first.ts";
import { untilWhole } from "./until-whole.ts";
import type { World } from "./world.ts";

export type RestoreOptions = KeyOptions & {
  to: string;
  plan?: string;
  source?: string;
  path?: string;
  repository?: string;
  over: boolean;
  dryRun: boolean;
  thaw: boolean;
  /** Where further tablespaces of a PostgreSQL cluster go: `name=/directory`. */
  tablespace?: string[];
  json?: boolean;
};

export async function restore(world: World, pointId: string | undefined, options: RestoreOptions): Promise<void> {
  if (options.to.startsWith("s3://"))
    return (await import("./restore-to-bucket.ts")).restoreToBucket(world, pointId, options);
  const to = resolve(options.to);
  await using reader = await openReader(world, options);
  const point = await reader.find(pointId, options.plan);
  const sources = chosen(point, options);
  const extract = reader.extract(options.over);
  if (!options.over) await assertEmpty(to);
  const total = sources.reduce((sum, each) => sum + each.bytes, 0);
  world.errorLine(
    `point ${point.pointId} of ${point.cut.at} (${point.cut.consistency}${point.partial ? ", PARTIAL" : ""})`,
  );
  for (const each of sources)
    world.errorLine(`  ${each.source} (${each.kind}, ${bytes(each.bytes)}) → ${join(to, each.source)}`);
  const given = { given: options.tablespace ?? [], over: options.over, to };
  const place = options.path === undefined ? await tablespacePlaces(world, sources, given) : async () => undefined;
  const cold = await reader.cold?.(sources.flatMap(({ backups }) => backups));
  if (cold !== undefined && cold.cold.length > 0) world.errorLine(`  ${coldShown(cold)}`);
  if (options.dryRun) {
    world.out(
      options.json
        ? `${JSON.stringify({ point: point.pointId, to, sources: sources.map(({ source }) => source), bytes: total, ...(cold === undefined ? {} : { thaw: { objects: cold.cold.length, bytes: cold.bytes, takesMs: cold.takesMs } }) })}\n`
        : `would write up to ${bytes(total)}${options.over ? ", and take away what the point does not hold" : ""}; nothing was written\n`,
    );
    return;
  }
  if (cold !== undefined && cold.cold.length > 0) await thawFirst(world, reader, cold, options.thaw);
  const restored: Awaited<ReturnType<typeof restoreSource>>[] = [];
  await untilWhole(to, `point ${point.pointId}`, async () => {
    for (const source of sources)
      restored.push(await restoreSource(world, { reader, extract, plan: point.plan }, source, to, options));
  });
  await untilWhole(to, `point ${point.pointId}`, async () => {
    for (const source of sources) await place(source, join(to, source.source));
  });
  if (options.json) {
    world.out(`${JSON.stringify({ point: point.pointId, to, sources: restored }, undefined, 2)}\n`);
    return;
  }
  world.out(`restored ${bytes(restored.reduce((sum, each) => sum + each.bytes, 0))} into ${to}\n`);
}

export function openReader(
  world: World,
  options: Pick<RestoreOptions, "repository"> & KeyOptions,
): Promise<PointReader> {
  if (options.repository === undefined) return vaultReader(world);
  return repositoryReader(world, options.repository, options);
}

export function chosen(point: Point, options: RestoreOptions): PointSource[] {
  if (options.source === undefined) {
    if (options.path === undefined) return point.sources;
    throw new StillpointError("INVALID_REQUEST", {
      what: "A path needs its source",
      where: "--source",
      why: "it is missing",
    });
  }
  const found = point.sources.filter(({ source }) => source === options.source);
  if (found.length > 0) return found;
  const left = point.skipped.find(({ source }) => source === options.source);
  throw new StillpointError("NOT_FOUND", {
    what: "The point does not hold that source",
    where: options.source,
    why:
      left === undefined
        ? `it holds ${point.sources.map(({ source }) => source).join(", ")}`
        : `it was left out: ${left.reason}`,
  });
}

export async function assertEmpty(directory: string): Promise<void> {
  const found = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  if (found.length === 0) return;
  throw new StillpointError("DESTINATION_NOT_EMPTY", {
    what: "Nothing was restored",
    where: directory,
    why: `it holds ${found.slice(0, 3).join(", ")}${found.length > 3 ? ", …" : ""}`,
    hint: "choose an empty or a new directory",
  });
}

type From = { reader: PointReader; extract: Extract; plan: string };

async function restoreSource(world: World, from: From, source: PointSource, to: string, options: RestoreOptions) {
  const { reader, extract, plan } = from;
  const directory = join(to, source.source);
  const startedMs = world.clock.monotonicMs();
  let read = 0;
  const progress = (more: number) => {
    read += more;
  };
  const { path } = options;
  const refused = (what: string) => world.errorLine(`  ${source.source}: ${what}`);
  const driver = await driverOf(source.kind);
  const work = async (): Promise<{ bytes: number; mark?: Mark }> =>
    path === undefined
      ? await restoreTree(directory, source.backups, source.mark, {
          extract,
          driver,
          readLog: pointLogFrom(reader, { plan, source: source.source }),
          signal: world.signal,
          keepOwners: process.getuid?.() === 0,
          refused,
          progress,
        })
      : { bytes: await restorePath(extract, source, directory, path, { progress, refused }) };
  const { bytes: count, mark } = await stillAlive(world, () => `${source.source}: ${bytes(read)}`, work);
  const ms = world.clock.monotonicMs() - startedMs;
  world.errorLine(`  ✓ ${source.source}: ${bytes(count)} in ${span(ms)}, ${rate(count, ms)}`);
  for (const note of mark?.notes.slice(source.mark.notes.length) ?? []) world.errorLine(`    ${note}`);
  return {
    source: source.source,
    kind: source.kind,
    directory,
    bytes: count,
    ms,
    ...(mark === undefined ? {} : { mark }),
  };
}

/** A file or subtree as it lies in the backups, without the step that makes a startable directory of the whole. */
async function restorePath(
  extract: Extract,
  source: PointSource,
  directory: string,
  path: string,
  told: Pick<ExtractOptions, "progress" | "refused">,
): Promise<number> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  let files = 0;
  let count = 0;
  for (const backupId of source.backups) {
    try {
      const keepOwners = process.getuid?.() === 0;
      // What else lies there is not this path's.
      const figures = await extract(backupId, directory, { path, keepOwners, ...told, base: false });
      files += figures.files + figures.directories + figures.symlinks;
      count += figures.bytes;
    } catch (error) {
      // A later backup holds only what changed: most paths are in one of them.
      if (!(error instanceof StillpointError && error.code === "NOT_FOUND")) throw error;
    }
  }
  if (files > 0) return count;
  throw new StillpointError("NOT_FOUND", {
    what: "The point does not hold that path",
    where: `${source.source}, ${path}`,
    hint: "paths are relative to the source's tree; restore the whole source to look",
  });
}
