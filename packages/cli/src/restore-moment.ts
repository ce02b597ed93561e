import { randomUUID } from "node:crypto";
import { mkdir, rm, writeFile } from "node:fs/promises";
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
import { assertEmpty, INCOMPLETE, type RestoreOptions } from "./restore.ts";
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

function pieceOf(
  log: SourceLog,
  read: Serving["reads"][number],
  repository: Repository,
  signal: AbortSignal,
): LogPiece {
  if (read.type === "closed") {
    const held = log.closed.find(({ backupId }) => backupId === read.backupId);
    if (held === undefined) throw new TypeError("unreachable: what serves is what is held");
    return {
      type: "closed",
      range: held.range,
      extract: async (directory) => void (await repository.restoreFiles(read.backupId, directory, { signal })),
    };
  }
  const held = log.tails.find(({ id }) => id === read.id);
  if (held === undefined) throw new TypeError("unreachable: what serves is what is held");
  return {
    type: "tail",
    range: held.range,
    async read() {
      const found = await repository.readTail(read.id, signal);
      if (found !== undefined) return found.bytes;
      throw new StillpointError("OBJECT_MISSING", {
        what: "A part of the log went away while it was read",
        where: `tails/${read.id}`,
        hint: "a closed stretch has it by now: restore again",
      });
    },
  };
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
  const pieces = serving.reads.map((read) => pieceOf(log, read, repository, world.signal));
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
  const directory = join(to, source);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await writeFile(join(to, INCOMPLETE), `The restore of ${plan}/${source} into this directory has not ended.\n`);
  const startedMs = world.clock.monotonicMs();
  let read = 0;
  const alive = setInterval(() => world.error(`\r  ${source}: ${bytes(read)} …   `), 1_000);
  try {
    await repository.restoreFiles(serving.base, directory, {
      signal: world.signal,
      keepOwners: process.getuid?.() === 0,
      onProgress: (more) => {
        read += more;
      },
    });
    const mark = await driver.recover(
      { directory, base: base.range, log: pieces, target, cutId: randomUUID() },
      { signal: world.signal },
    );
    await applyLayout(directory, driver.layout(await treeFiles(directory), mark));
    await rm(join(to, INCOMPLETE));
    const ms = world.clock.monotonicMs() - startedMs;
    if (options.json) {
      world.out(`${JSON.stringify({ ...serving, to, directory, mark, bytes: read, ms }, undefined, 2)}\n`);
      return;
    }
    world.errorLine(`${world.isTerminal ? "\r" : ""}  ✓ ${source}: ${mark.position}, ${span(ms)}`);
    for (const note of mark.notes) world.errorLine(`    ${note}`);
    world.out(`restored ${bytes(read)} and its log into ${to}; the store's own recovery goes on from there\n`);
  } finally {
    clearInterval(alive);
  }
}

function noRecovery(source: string, kind: SourceKind): StillpointError {
  return new StillpointError("SOURCE_UNSUPPORTED", {
    what: "Cannot restore to a moment",
    where: source,
    why: `a ${kind} source has no log that it could be followed in`,
    hint: "restore a recovery point: leave --at out",
  });
}
