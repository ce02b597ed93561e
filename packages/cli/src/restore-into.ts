import { tmpdir } from "node:os";
import { join } from "node:path";
import { restoreTree } from "@stillpoint/agent/restore-tree";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { Point, PointSource } from "@stillpoint/contracts/point";
import { qdrantSource } from "@stillpoint/contracts/source";
import { claimDirectory } from "@stillpoint/driver/sandbox-record";
import type { IntoPlan, IntoWishes } from "@stillpoint/driver-qdrant/into-plan";
import { driverOf } from "./drivers.ts";
import { openWorkDirectory } from "./export/export-source.ts";
import { bytes, span } from "./figures.ts";
import { pointLogFrom } from "./log-pieces.ts";
import { renames } from "./rename-option.ts";
import { openReader, type RestoreOptions } from "./restore.ts";
import { secretReader } from "./secret-reader.ts";
import { stillAlive } from "./still-alive.ts";
import { coldShown, thawFirst } from "./thaw-first.ts";
import type { World } from "./world.ts";

export type IntoOptions = Omit<RestoreOptions, "to"> & {
  into: string;
  apiKey?: string;
  peer: string[];
  collection: string[];
  rename: string[];
  inPlace: boolean;
  keepAliases: boolean;
  work?: string;
};

/** Restores a source of a point into a server that runs and may serve: beside what is there, verified, then switched to. */
export async function restoreIntoServer(
  world: World,
  pointId: string | undefined,
  options: IntoOptions,
): Promise<void> {
  const target = targetOf(options);
  await using reader = await openReader(world, options);
  const point = await reader.find(pointId, options.plan);
  const source = sourceOf(point, options);
  const { connect } = await import("@stillpoint/driver-qdrant/cluster");
  const { previewInto, restoreInto } = await import("@stillpoint/driver-qdrant/restore-into");
  const key = target.apiKey === undefined ? undefined : secretReader(world)(target.apiKey);
  const peers = connect(target, key);
  const { plan, version, warnings } = await previewInto(peers, source, wishesOf(point, options), world.signal);
  world.errorLine(
    `point ${point.pointId} of ${point.cut.at} (${point.cut.consistency}${point.partial ? ", PARTIAL" : ""})`,
  );
  world.errorLine(`  ${source.source} (qdrant, ${bytes(source.bytes)}) → ${options.into} (Qdrant ${version})`);
  for (const line of planLines(plan)) world.errorLine(`  ${line}`);
  for (const warning of warnings) world.errorLine(`  ! ${warning}`);
  const cold = await reader.cold?.(source.backups);
  if (cold !== undefined && cold.cold.length > 0) world.errorLine(`  ${coldShown(cold)}`);
  const shown = { point: point.pointId, source: source.source, into: options.into, version, ...plan, warnings };
  if (options.dryRun) {
    world.out(options.json ? `${JSON.stringify(shown)}\n` : "nothing was changed\n");
    return;
  }
  if (cold !== undefined && cold.cold.length > 0) await thawFirst(world, reader, cold, options.thaw);
  const work = await openWorkDirectory(options.work ?? join(tmpdir(), `stillpoint-restore-${process.getuid?.() ?? 0}`));
  await using home = await claimDirectory(work, "restore");
  const startedMs = world.clock.monotonicMs();
  let step = "reading the backup";
  const directory = join(home.path, "tree");
  const say = (line: string) => {
    step = line;
  };
  const result = await stillAlive(
    world,
    () => step,
    async () => {
      await restoreTree(directory, source.backups, source.mark, {
        extract: reader.extract(false),
        driver: await driverOf("qdrant"),
        readLog: pointLogFrom(reader, { plan: point.plan, source: source.source }),
        signal: world.signal,
        keepOwners: false,
        progress: () => undefined,
      });
      return await restoreInto(peers, plan, { directory, mark: source.mark, say, signal: world.signal });
    },
  );
  const ms = world.clock.monotonicMs() - startedMs;
  const words = `restored ${Object.values(result.restored).join(", ") || "nothing"} in ${span(ms)}: ${result.checks} checks passed\n`;
  world.out(options.json ? `${JSON.stringify({ ...shown, ...result, ms }, undefined, 2)}\n` : words);
}

function targetOf({ into, apiKey, peer }: IntoOptions) {
  const parsed = qdrantSource.safeParse({
    kind: "qdrant",
    url: into,
    apiKey,
    ...(peer.length > 0 ? { peers: peer } : {}),
  });
  if (parsed.success) return parsed.data;
  // Not the value: somebody may have given the key itself.
  const [issue] = parsed.error.issues;
  const names: Record<string, string> = { url: "--into", apiKey: "--api-key", peers: "--peer" };
  throw new StillpointError("INVALID_REQUEST", {
    what: "Cannot read which server is meant",
    where: names[String(issue?.path[0])] ?? "--into",
    why: issue?.message ?? "it is no server's address",
  });
}

function sourceOf(point: Point, { source: wanted }: IntoOptions): PointSource {
  const found = point.sources.filter(({ kind, source }) => kind === "qdrant" && (wanted ?? source) === source);
  const [source] = found;
  if (source !== undefined && found.length === 1) return source;
  const held = point.sources.map((each) => `${each.source} (${each.kind})`).join(", ");
  throw new StillpointError(source === undefined ? "NOT_FOUND" : "INVALID_REQUEST", {
    what: "Cannot tell which source to restore into the server",
    where: wanted ?? "--source",
    why: `the point holds ${held}`,
    hint: "into a running server go Qdrant's sources, one at a time; the others are restored into a directory: --to",
  });
}

function wishesOf(point: Point, options: IntoOptions): IntoWishes {
  return {
    collections: options.collection,
    rename: renames(options.rename),
    stamp: point.cut.at.replace(/[-:.]/g, ""),
    inPlace: options.inPlace,
    keepAliases: options.keepAliases,
  };
}

function planLines({ steps, aliases }: IntoPlan): string[] {
  const words = { make: "is made", "make again": "is made again: it is unfinished", keep: "is there already, whole" };
  return [
    ...steps.map(({ from, name, step, replaces }) => {
      const end =
        replaces === undefined
          ? ""
          : `; then REPLACES ${replaces.name} (${replaces.points === undefined ? "which is not there" : `${replaces.points} points`})`;
      return `${from} → ${name} ${words[step]}${end}`;
    }),
    ...aliases.map(({ alias, now, to }) => `alias ${alias}: ${now ?? "not there"} → ${to}`),
  ];
}
