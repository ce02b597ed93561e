import { StillpointError } from "@stillpoint/contracts/errors";
import type { Point } from "@stillpoint/contracts/point";
import type { FileFinder, FoundFile } from "@stillpoint/repository/read/file-finder";
import { bytes, table } from "./figures.ts";
import type { KeyOptions } from "./key/key-options.ts";
import { openAllTargets, openForReading } from "./open-targets.ts";
import type { World } from "./world.ts";

export type VersionsOptions = KeyOptions & {
  repository: string;
  plan?: string;
  source?: string;
  json?: boolean;
};

/** A state that a path was in, from the first to the last point that shows it so. */
export type Version = {
  plan: string;
  source: string;
  state: "file" | "directory" | "symlink" | "absent";
  size: number;
  changedAt: string | undefined;
  firstPoint: string;
  firstCutAt: string;
  lastPoint: string;
  lastCutAt: string;
  points: number;
};

/** The last backup that says anything of the path decides: later ones are laid over earlier ones. */
async function stateIn(find: FileFinder, backups: readonly string[], signal?: AbortSignal) {
  for (const backupId of backups.toReversed()) {
    const found = await find(backupId, signal);
    if (found !== undefined) return found;
  }
  return undefined;
}

const ABSENT = { state: "absent", size: 0, changedAt: undefined } as const;

function described(found: FoundFile | undefined): Pick<Version, "state" | "size" | "changedAt"> {
  if (found === undefined || found.entry.type === "deleted" || found.entry.type === "torn") return ABSENT;
  const { type, mtimeMs } = found.entry;
  const size = found.entry.type === "file" ? (found.entry.offset ?? 0) + found.entry.size : 0;
  return { state: type, size, changedAt: new Date(mtimeMs).toISOString() };
}

function sameVersion(found: FoundFile | undefined): string {
  const { state, size, changedAt } = described(found);
  const target = found?.entry.type === "symlink" ? found.entry.target : "";
  return [state, size, state === "directory" ? "" : changedAt, found?.content, target].join("|");
}

async function versionsOf(world: World, path: string, options: VersionsOptions): Promise<Version[]> {
  await using targets = await openAllTargets(world, options.repository, options);
  await using repository = await openForReading(world, targets);
  const points: Point[] = [];
  for await (const point of repository.points({ signal: world.signal }))
    if (options.plan === undefined || point.plan === options.plan) points.push(point);
  points.sort((a, b) => (a.cut.at < b.cut.at ? -1 : 1));
  const sources = new Map<string, { find: FileFinder; versions: Version[]; last: string | undefined }>();
  const startedMs = world.clock.monotonicMs();
  let told = startedMs;
  for (const [number, { pointId, plan, cut, sources: held }] of points.entries())
    for (const { source, backups } of held) {
      if (options.source !== undefined && options.source !== source) continue;
      const key = `${plan}/${source}`;
      const known = sources.get(key) ?? { find: repository.fileFinder(path), versions: [], last: undefined };
      sources.set(key, known);
      const found = await stateIn(known.find, backups, world.signal);
      const same = sameVersion(found);
      const newest = known.versions.at(-1);
      if (newest !== undefined && known.last === same)
        Object.assign(newest, { lastPoint: pointId, lastCutAt: cut.at, points: newest.points + 1 });
      else
        known.versions.push({
          plan,
          source,
          ...described(found),
          firstPoint: pointId,
          firstCutAt: cut.at,
          lastPoint: pointId,
          lastCutAt: cut.at,
          points: 1,
        });
      known.last = same;
      if (world.clock.monotonicMs() - told < 1_000) continue;
      told = world.clock.monotonicMs();
      world.error(`\r  looked at ${number + 1} of ${points.length} points …   `);
    }
  if (told !== startedMs) world.error("\n");
  const all = [...sources.values()].map(({ versions }) => versions);
  return all.filter((versions) => versions.some(({ state }) => state !== "absent")).flat();
}

/** Every version of a path that a repository holds, and the point to restore it from. */
export async function listVersions(world: World, path: string, options: VersionsOptions): Promise<void> {
  const versions = await versionsOf(world, path, options);
  if (versions.length === 0)
    throw new StillpointError("NOT_FOUND", {
      what: "No point holds that path",
      where: path,
      why: options.plan === undefined ? "no plan's sources have it" : `no source of ${options.plan} has it`,
      hint: "paths are relative to the source's tree, such as uploads/report.pdf; restore the source to look",
    });
  if (options.json) {
    world.out(`${JSON.stringify({ path, versions }, undefined, 2)}\n`);
    return;
  }
  const rows = versions
    .toReversed()
    .map((each) => [
      `${each.plan}/${each.source}`,
      each.state,
      each.state === "file" ? bytes(each.size) : "–",
      each.changedAt ?? "–",
      each.firstCutAt,
      each.lastCutAt,
      each.lastPoint,
    ]);
  world.out(`${table(["source", "what", "size", "changed", "first cut", "last cut", "point"], rows, [2])}\n`);
  const newest = versions.findLast(({ state }) => state !== "absent");
  if (newest !== undefined)
    world.errorLine(
      `restore one, by its point: stillpoint restore ${newest.lastPoint} --source ${newest.source} --path ${path} --to <directory> --repository ${options.repository} --key-file …`,
    );
}
