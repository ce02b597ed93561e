import { constants } from "node:fs";
import { copyFile, mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { StillpointError } from "@stillpoint/contracts/errors";
import { codeOf } from "@stillpoint/driver/disk-error";
import { checkTreePath } from "@stillpoint/driver/tree-path";
import { type BaseRecord, baseRecord } from "./base-record.ts";
import { replayInto } from "./replay-frames.ts";
import { BASE_PATH } from "./shipped-files.ts";
import { Generations, type LogState, type ShippedTarget, shippedIn, stateAt } from "./shipped-log.ts";
import type { WalAddress } from "./wal-address.ts";

export type RestoredMoment = {
  /** What each database was brought to; those of the base that were not there any more are left out. */
  databases: { name: string; end: WalAddress; frames: number }[];
  /** All that was committed before this moment is there (wall clock, ms since the epoch); … */
  committedBefore: number;
  /** … and nothing that was committed after this one. */
  nothingAfter: number;
};

/**
 * Makes the database files of a moment out of a base and the log that was shipped since, in the order in which it was
 * shipped. The files take their places when all of them are whole; an application must not have them open.
 */
export async function restoreShipped(input: {
  /** The base's tree. */
  base: string;
  /** Closed stretches and tails; they may overlap, and may begin before the base. */
  log: readonly string[];
  /** Where the databases go; may be the base's own directory. */
  to: string;
  target: ShippedTarget;
}): Promise<RestoredMoment> {
  const { base, log, to, target } = input;
  const record = await readBase(base);
  checkTarget(record, target);
  const state = await stateAt(log, record.needsFrom, target);
  const { look } = state;
  // The copies are later than what the log has to give.
  const isBehind =
    look === undefined || (look.position.stream === record.wholeFrom.stream && look.position.at < record.wholeFrom.at);
  const restored: RestoredMoment["databases"] = [];
  const made: string[] = [];
  try {
    for (const database of record.databases.filter(({ name }) => !state.gone.has(name))) {
      checkTreePath(database.name);
      const path = join(to, database.name);
      await mkdir(dirname(path), { recursive: true });
      const half = `${path}.restoring`;
      made.push(half);
      restored.push(
        await makeDatabase({ database, from: join(base, database.name), half, log: isBehind ? [] : log, state }),
      );
      checkSound(half, database.name);
    }
    for (const { name } of restored) await replace(`${join(to, name)}.restoring`, join(to, name));
  } finally {
    for (const half of made) for (const suffix of ["", "-wal", "-shm"]) await rm(`${half}${suffix}`, { force: true });
  }
  return {
    databases: restored,
    committedBefore: isBehind ? record.beganAt : look.beganAt,
    nothingAfter: isBehind ? record.at : look.endedAt,
  };
}

type Making = {
  database: BaseRecord["databases"][number];
  from: string;
  half: string;
  log: readonly string[];
  state: LogState;
};

async function makeDatabase({
  database,
  from,
  half,
  log,
  state,
}: Making): Promise<RestoredMoment["databases"][number]> {
  const { name } = database;
  await rm(half, { force: true });
  await copyFile(from, half, constants.COPYFILE_FICLONE);
  const generations = state.generations.get(name) ?? new Generations();
  const reached = state.ends.get(name);
  // The copy is one of the moments between the two, so it is either left as it is or brought past both.
  if (log.length === 0 || reached === undefined || generations.compare(reached, database.from) <= 0) {
    return { name, end: database.to, frames: 0 };
  }
  const until = generations.compare(reached, database.to) < 0 ? database.to : reached;
  await using file = await open(half, "r+");
  let frames = 0;
  const replay = replayInto(file, name, { from: database.from, until, pageSize: database.pageSize });
  for await (const each of shippedIn(log, state.skip)) {
    if (each.head.name !== name) continue;
    await replay.take(each);
    frames += each.head.count;
  }
  await replay.finish();
  await file.sync();
  return { name, end: until, frames };
}

async function readBase(base: string): Promise<BaseRecord> {
  try {
    return baseRecord.parse(JSON.parse(await readFile(join(base, BASE_PATH), "utf8")));
  } catch (error) {
    throw new StillpointError("VERIFICATION_FAILED", {
      what: "Cannot replay a shipped log of SQLite",
      where: BASE_PATH,
      why: codeOf(error) === "ENOENT" ? "the base does not say where it stands in the log" : "it is not as it must be",
      hint: "it was made by an earlier version, or of databases without a log: restore the point instead",
      cause: error,
    });
  }
}

function checkTarget({ at, wholeFrom }: BaseRecord, target: ShippedTarget): void {
  if (target === "newest") return;
  const isEarly =
    "moment" in target
      ? target.moment < at
      : target.position.stream === wholeFrom.stream && target.position.at < wholeFrom.at;
  if (!isEarly) return;
  throw new StillpointError("INVALID_REQUEST", {
    what: "Cannot restore SQLite databases to that moment",
    where: "moment" in target ? new Date(target.moment).toISOString() : target.position.at,
    why: `the base is whole only from ${new Date(at).toISOString()} on`,
    hint: "take an earlier base, or a later moment",
  });
}

/** In a file of our own that nobody else has open. */
function checkSound(path: string, name: string): void {
  let problems: string[];
  try {
    const database = new DatabaseSync(path);
    try {
      const rows = database.prepare("PRAGMA integrity_check(10)").all();
      problems = rows.map((row) => String(row.integrity_check)).filter((text) => text !== "ok");
    } finally {
      database.close();
    }
  } catch (error) {
    problems = [error instanceof Error ? error.message : String(error)];
  }
  if (problems.length === 0) return;
  throw new StillpointError("VERIFICATION_FAILED", {
    what: "A restored SQLite database is damaged",
    where: name,
    why: problems.slice(0, 3).join("; "),
    hint: "nothing was replaced; restore to another moment, or to a point",
  });
}

/**
 * Puts a database in its place. What lies beside the old one goes out of its way first: SQLite would replay an old log into
 * the new database. Interrupted in between, the old database lies there with its log set aside.
 */
async function replace(made: string, path: string): Promise<void> {
  const aside = `${path}-wal.replaced`;
  await rename(`${path}-wal`, aside).catch((error: unknown) => {
    if (codeOf(error) !== "ENOENT") throw error;
  });
  for (const suffix of ["-shm", "-journal"]) await rm(`${path}${suffix}`, { force: true });
  await rename(made, path);
  await using directory = await open(dirname(path), "r");
  await directory.sync();
  await rm(aside, { force: true });
}
