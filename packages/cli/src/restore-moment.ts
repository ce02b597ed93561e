import { randomUUID } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { LogTarget } from "@stillpoint/contracts/log";
import type { SourceKind } from "@stillpoint/contracts/names";
import { applyLayout, treeFiles } from "@stillpoint/driver/layout";
import type { LogPiece } from "@stillpoint/driver/recover";
import { serveMoment, serveWholeWindow } from "@stillpoint/repository/log/moment";
import { type Serving, serve } from "@stillpoint/repository/log/serve";
import type { SourceLog } from "@stillpoint/repository/log/source-log";
import type { Repository } from "@stillpoint/repository/repository";
import { driverOf } from "./drivers.ts";
import { bytes, span } from "./figures.ts";
import { openAllTargets, openForReading } from "./open-targets.ts";
import { assertEmpty, type RestoreOptions } from "./restore.ts";
import { stillAlive } from "./still-alive.ts";
import { untilWhole } from "./until-whole.ts";
import type { World } from "./world.ts";

/** A word of the command line as a target: `latest`, a time, `lsn:0/3000060`, `tx:1234`, `name:before-import`. */
export function parseMoment(text: string, inclusive: boolean): LogTarget {
  if (text === "latest") return { by: "latest" };
  const [, kind, value = ""] = /^(lsn|tx|name):(.+)$/.exec(text) ?? [];
  if (kind === "lsn") return { by: "position", at: value, inclusive };
  if (kind === "tx") return { by: "transaction", id: value, inclusive };
  if (kind === "name") return { by: "name", name: value };
  // Microseconds are kept, for stores count in them.
  if (/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$/.test(text) && !Number.isNaN(Date.parse(text)))
    return { by: "time", at: text };
  throw new StillpointError("INVALID_REQUEST", {
    what: "Cannot read the moment to restore to",
    where: `--at ${text}`,
    why: "it is none of: latest, a time in UTC such as 2027-01-31T12:34:56.789Z, lsn:<position>, tx:<id>, name:<restore point>",
  });
}

function servingOf(log: SourceLog, target: LogTarget): Serving {
  if (target.by === "latest") return serve(log, "newest");
  if (target.by === "time") return serveMoment(log, Date.parse(target.at));
  return serveWholeWindow(log);
}

/** What the repository holds of the log, as a driver takes it. */
function piecesOf(log: SourceLog, serving: Serving, repository: Repository, signal: AbortSignal): LogPiece[] {
  const closed = new Map(log.closed.map(({ backupId, range }) => [backupId, range]));
  const tails = new Map(log.tails.map(({ id, range }) => [id, range]));
  return serving.reads.map((read) => {
    const range = read.type === "closed" ? closed.get(read.backupId) : tails.get(read.id);
    if (range === undefined) throw new TypeError("unreachable: what serves is what is held");
    if (read.type === "tail") return { type: "tail", range, read: () => tailBytes(repository, read.id, signal) };
    const extract = async (directory: string) =>
      void (await repository.restoreFiles(read.backupId, directory, { signal }));
    return { type: "closed", range, extract };
  });
}

async function tailBytes(repository: Repository, id: string, signal: AbortSignal): Promise<Uint8Array> {
  const found = await repository.readTail(id, signal);
  if (found !== undefined) return found.bytes;
  throw new StillpointError("OBJECT_MISSING", {
    what: "A part of the log went away while it was read",
    where: `tails/${id}`,
    hint: "a closed stretch has it by now: restore again",
  });
}

export type MomentOptions = RestoreOptions & { at: string; exclusive: boolean };

/** Restores one source to a moment of its log, into a directory that its store's own recovery accepts. */
export async function restoreMoment(world: World, options: MomentOptions): Promise<void> {
  const { plan, source, repository: where } = options;
  if (plan === undefined || source === undefined || where === undefined)
    throw new StillpointError("INVALID_REQUEST", {
      what: "Cannot restore to a moment",
      where: "--at",
      why: "--plan, --source and --repository say whose log, and where it is: one of them is missing",
      hint: "one source at a time; sources at one common moment are a recovery point: leave --at out",
    });
  const target = parseMoment(options.at, !options.exclusive);
  const to = resolve(options.to);
  await using targets = await openAllTargets(world, where, options);
  await using repository = await openForReading(world, targets);
  const log = await repository.sourceLog({ plan, source }, world.signal);
  for (const name of log.damaged) world.errorLine(`  ${name} cannot be read, and may be a part of this log`);
  const serving = servingOf(log, target);
  const base = log.fulls.find(({ backupId }) => backupId === serving.base);
  const figures = await repository.headBackup(serving.base, world.signal);
  if (base === undefined || figures === undefined) throw new TypeError("unreachable: what serves is what is held");
  const driver = await driverOf(figures.kind);
  if (driver.recover === undefined) throw noRecovery(source, figures.kind);
  const pieces = piecesOf(log, serving, repository, world.signal);
  const tails = pieces.filter(({ type }) => type === "tail").length;
  world.errorLine(
    `${plan}/${source} (${figures.kind}): base ${serving.base} of ${figures.startedAt}, ${bytes(figures.bytes)}; then ${pieces.length - tails} closed stretches and ${tails} flushes of its log`,
  );
  if (options.dryRun) {
    world.out(
      options.json
        ? `${JSON.stringify({ ...serving, to, bytes: figures.bytes })}\n`
        : `would write up to ${bytes(figures.bytes)} and the log; nothing was written\n`,
    );
    return;
  }
  await assertEmpty(to);
  const { recover, layout } = driver;
  const directory = join(to, source);
  const startedMs = world.clock.monotonicMs();
  let read = 0;
  const work = async () => {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await repository.restoreFiles(serving.base, directory, {
      signal: world.signal,
      keepOwners: process.getuid?.() === 0,
      onProgress: (more) => {
        read += more;
      },
    });
    const input = { directory, base: base.range, log: pieces, target, cutId: randomUUID() };
    const mark = await recover(input, { signal: world.signal });
    await applyLayout(directory, layout(await treeFiles(directory), mark));
    return mark;
  };
  const mark = await untilWhole(to, `${plan}/${source}`, () =>
    stillAlive(world, () => `${source}: ${bytes(read)}`, work),
  );
  const ms = world.clock.monotonicMs() - startedMs;
  if (options.json) {
    world.out(`${JSON.stringify({ ...serving, to, directory, mark, bytes: read, ms }, undefined, 2)}\n`);
    return;
  }
  world.errorLine(`  ✓ ${source}: ${mark.position}, ${span(ms)}`);
  for (const note of mark.notes) world.errorLine(`    ${note}`);
  world.out(`restored ${bytes(read)} and its log into ${to}; the store's own recovery goes on from there\n`);
}

function noRecovery(source: string, kind: SourceKind): StillpointError {
  return new StillpointError("SOURCE_UNSUPPORTED", {
    what: "Cannot restore to a moment",
    where: source,
    why: `a ${kind} source has no log that it could be followed in`,
    hint: "restore a recovery point: leave --at out",
  });
}
