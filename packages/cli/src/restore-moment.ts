import { randomUUID } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { SourceKind } from "@stillpoint/contracts/names";
import type { Mark } from "@stillpoint/contracts/point";
import { applyLayout, treeFiles } from "@stillpoint/driver/layout";
import type { SourceLog } from "@stillpoint/repository/log/source-log";
import { driverOf } from "./drivers.ts";
import { bytes, span } from "./figures.ts";
import { piecesFrom } from "./log-pieces.ts";
import { followTimeline, parseMoment, servingOf } from "./moment.ts";
import type { PointReader } from "./point-reader.ts";
import { begunRecovery, parseAction, parsePatience, recoverMoment } from "./recover-moment.ts";
import { assertEmpty, openReader, type RestoreOptions } from "./restore.ts";
import { stillAlive } from "./still-alive.ts";
import { momentTablespaces } from "./tablespaces.ts";
import { untilWhole } from "./until-whole.ts";
import type { World } from "./world.ts";

export type MomentOptions = RestoreOptions & {
  at: string;
  exclusive: boolean;
  timeline?: string;
  recover?: boolean;
  action?: string;
  patience?: string;
};

/** Restores one source to a moment of its log, into a directory that its store's own recovery accepts. */
export async function restoreMoment(world: World, options: MomentOptions): Promise<void> {
  const { plan, source } = options;
  if (plan === undefined || source === undefined)
    throw new StillpointError("INVALID_REQUEST", {
      what: "Cannot restore to a moment",
      where: "--at",
      why: "--plan and --source say whose log: one of them is missing",
      hint: "one source at a time; sources at one common moment are a recovery point: leave --at out",
    });
  const target = parseMoment(options.at, !options.exclusive);
  const to = resolve(options.to);
  await using reader = await openReader(world, options);
  const log = await reader.sourceLog({ plan, source });
  for (const name of log.damaged) world.errorLine(`  ${name} cannot be read, and may be a part of this log`);
  const directory = join(to, source);
  const begun = options.recover ? await begunRecovery(directory) : undefined;
  const isOurs = begun === undefined || (begun.plan === plan && begun.source === source);
  const kind = await kindOf(reader, log);
  const followed = await followTimeline(log, kind, options.timeline ?? "latest");
  const serving = await servingOf(
    begun === undefined || !isOurs ? followed : onBase(followed, begun.base),
    kind,
    target,
  );
  const base = log.fulls.find(({ backupId }) => backupId === serving.base);
  const figures = await reader.headBackup(serving.base);
  if (base === undefined) throw new TypeError("unreachable: what serves is what is held");
  const driver = await driverOf(figures.kind);
  const { recover, layout } = driver;
  if (recover === undefined) throw noRecovery(source, figures.kind);
  if (options.recover && figures.kind !== "postgres") throw recoversItself(source, figures.kind);
  const { log: pieces } = piecesFrom(reader, { plan, source }, log, serving);
  const tails = pieces.filter(({ type }) => type === "tail").length;
  world.errorLine(
    `${plan}/${source} (${figures.kind}): base ${serving.base} of ${figures.startedAt}, ${bytes(figures.bytes)}; then ${pieces.length - tails} closed stretches and ${tails} flushes of its log`,
  );
  const given = options.tablespace ?? [];
  const place = await momentTablespaces(world, reader, { kind: figures.kind, base: serving.base, directory, given });
  if (options.dryRun) {
    world.out(
      options.json
        ? `${JSON.stringify({ ...serving, to, bytes: figures.bytes })}\n`
        : `would write up to ${bytes(figures.bytes)} and the log; nothing was written\n`,
    );
    return;
  }
  if (begun === undefined || !isOurs) await assertEmpty(to);
  const startedMs = world.clock.monotonicMs();
  let read = 0;
  let step = "";
  const extract = async (into: string, path?: string) => {
    const progress = (more: number) => {
      read += more;
    };
    await reader.extract(false)(serving.base, into, {
      keepOwners: process.getuid?.() === 0,
      path,
      progress,
      base: false,
    });
  };
  const cutId = randomUUID();
  const recovering = async () => {
    const how = { plan, source, base: serving.base, to, directory, range: base.range, log: pieces, target, cutId };
    const say = (now: string) => {
      step = `, ${now}`;
    };
    return await recoverMoment(world, {
      ...how,
      action: parseAction(options.action ?? "promote"),
      patienceMs: parsePatience(options.patience ?? "60s"),
      isBegun: begun !== undefined,
      extract,
      say,
    });
  };
  const layingOut = async () => {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await extract(directory);
    const input = { directory, base: base.range, log: pieces, target, cutId };
    const mark = await recover(input, { signal: world.signal });
    await applyLayout(directory, layout(await treeFiles(directory), mark));
    return { mark };
  };
  const work: () => Promise<{ mark: Mark; recovered?: string; opened?: boolean; taken?: number }> = options.recover
    ? recovering
    : layingOut;
  const done = await untilWhole(to, `${plan}/${source}`, () =>
    stillAlive(world, () => `${source}: ${bytes(read)}${step}`, work),
  );
  const { mark } = done;
  // A server that stands before its end goes further in the directory as it is.
  const isPlaced = done.opened !== false;
  if (isPlaced) await untilWhole(to, `${plan}/${source}`, place);
  else if (given.length > 0) world.errorLine("    tablespaces are placed when the server is opened");
  const ms = world.clock.monotonicMs() - startedMs;
  if (options.json) {
    world.out(`${JSON.stringify({ ...serving, to, directory, ...done, bytes: read, ms }, undefined, 2)}\n`);
    return;
  }
  world.errorLine(`  ✓ ${source}: ${mark.position}, ${span(ms)}`);
  for (const note of mark.notes) world.errorLine(`    ${note}`);
  if (done.recovered !== undefined) {
    world.errorLine(`    ${done.recovered}`);
    world.out(
      done.opened
        ? `recovered into ${directory}; the server was stopped, and opens at once when it is started there\n`
        : `recovered into ${directory}; the server was stopped and did not open: the same command with another --at goes further, with --action promote it opens\n`,
    );
    return;
  }
  world.out(`restored ${bytes(read)} and its log into ${to}; the store's own recovery goes on from there\n`);
}

/** Of a source without any base nothing is served, whatever it is. */
async function kindOf(reader: PointReader, log: SourceLog): Promise<SourceKind> {
  const [first] = log.fulls;
  return first === undefined ? "postgres" : (await reader.headBackup(first.backupId)).kind;
}

function onBase(log: SourceLog, base: string): SourceLog {
  const fulls = log.fulls.filter(({ backupId }) => backupId === base);
  if (fulls.length > 0) return { ...log, fulls };
  throw new StillpointError("BASE_GONE", {
    what: "Cannot go on with this recovery",
    where: base,
    why: "the repository has the base that it began with no more",
    hint: "begin anew in an empty directory",
  });
}

function recoversItself(source: string, kind: SourceKind): StillpointError {
  return new StillpointError("SOURCE_UNSUPPORTED", {
    what: "Cannot recover this source here",
    where: source,
    why: `--recover is for PostgreSQL; a ${kind} source's log is laid over its base at the restore`,
    hint: "leave --recover out",
  });
}

function noRecovery(source: string, kind: SourceKind): StillpointError {
  return new StillpointError("SOURCE_UNSUPPORTED", {
    what: "Cannot restore to a moment",
    where: source,
    why: `a ${kind} source has no log that it could be followed in`,
    hint: "restore a recovery point: leave --at out",
  });
}
