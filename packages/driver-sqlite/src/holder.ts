/**
 * The process that holds a source's databases, a program of its own (see `startHolder`). It ends when its owner does.
 * A raw descriptor is never closed here: that would drop the locks that SQLite has on the file.
 */
import { openSync, readSync } from "node:fs";
import { flushCompileCache } from "node:module";
import { DatabaseSync } from "node:sqlite";
import { type CheckpointLock, openCheckpointLock } from "./checkpoint-lock.ts";
import { copyBytes, copyDatabase, copyWhileWritten } from "./copy-database.ts";
import { countRows } from "./count-rows.ts";
import { fixCopy } from "./fix-copy.ts";
import { type Answer, type Ask, type Operation, operations, request } from "./holder-messages.ts";
import { leaveOutTables } from "./leave-out-tables.ts";

const LOCK_TIMEOUT_MS = 2000;
const COUNTER_AT = 24;
const SQLITE_BUSY = 5;
/** So many tries take some milliseconds; then it is a long transaction that is waited for, and a few now and then will do. */
const LOCK_TRIES = 1000;
const LOCK_TRIES_LATER = 20;
const PAUSE = new Int32Array(new SharedArrayBuffer(4));

type Opened = {
  reader: DatabaseSync;
  mode: "wal" | "rollback";
  descriptor: number;
  /** Open, without a transaction: the next one begins here. */
  spare?: DatabaseSync;
  /** Made when a log is first let go; `isLocked` while writers are kept out. */
  turning?: Turning;
  /** `isKept`: it is taken again after each checkpoint of ours. */
  checkpoints?: { lock: CheckpointLock | undefined; isKept: boolean };
};
type Turning = { writer: DatabaseSync; checkpointer: DatabaseSync; isLocked: boolean };
const opened = new Map<string, Opened>();
const pins = new Map<string, DatabaseSync>();

function openReader(path: string): DatabaseSync {
  return new DatabaseSync(path, { readOnly: true, timeout: LOCK_TIMEOUT_MS });
}

function find(path: string): Opened {
  const found = opened.get(path);
  if (found === undefined) throw new TypeError(`${path} was not opened`);
  return found;
}

/** A deferred transaction begins with its first read. */
function begin(database: DatabaseSync): void {
  database.exec("BEGIN");
  database.prepare("SELECT 1 FROM sqlite_schema LIMIT 1").get();
}

/** Begins a further read transaction and ends the one before. False: there was no beginning one just now, and the old one stands. */
function roll(of: Opened, path: string): boolean {
  if (!of.reader.isTransaction) throw new TypeError(`${path} is not held`);
  const next = of.spare ?? openReader(path);
  of.spare = next;
  try {
    begin(next);
  } catch (error) {
    if (next.isTransaction) next.exec("ROLLBACK");
    if (sqliteCode(error) !== SQLITE_BUSY) throw error;
    return false;
  }
  of.reader.exec("COMMIT");
  [of.reader, of.spare] = [next, of.reader];
  return true;
}

/** A second hold first, so that there is never none; then all that lies before it can go, with writers writing. */
function checkpointHeld(of: Opened, path: string): Turning {
  if (!roll(of, path)) throw new TypeError(`${path} cannot be held anew just now`);
  of.turning ??= {
    checkpointer: new DatabaseSync(path, { timeout: LOCK_TIMEOUT_MS }),
    writer: new DatabaseSync(path, { timeout: 0 }),
    isLocked: false,
  };
  checkpoint(of, of.turning);
  return of.turning;
}

/** True: all of the log is in the database. */
function checkpoint({ checkpoints }: Opened, { checkpointer }: Turning): boolean {
  const row = checkpointer.prepare("PRAGMA wal_checkpoint(PASSIVE)").get();
  if (checkpoints?.isKept === true) checkpoints.lock?.take();
  return row?.log === row?.checkpointed;
}

/**
 * Keeps writers out. Locks are not queued for: an application that commits without a pause leaves a few microseconds between
 * two transactions, which SQLite's own waiting, that sleeps for milliseconds, would hardly ever meet.
 */
function lockWriters(writer: DatabaseSync): void {
  const until = performance.now() + LOCK_TIMEOUT_MS;
  for (let tries = 1; ; tries += 1) {
    try {
      writer.exec("BEGIN IMMEDIATE");
      return;
    } catch (error) {
      if (sqliteCode(error) !== SQLITE_BUSY || performance.now() > until) throw error;
      if (tries >= LOCK_TRIES && tries % LOCK_TRIES_LATER === 0) Atomics.wait(PAUSE, 0, 0, 1);
    }
  }
}

function locked({ turning }: Opened, path: string): Turning {
  if (turning?.isLocked !== true) throw new TypeError(`${path} is not locked`);
  return turning;
}

function unlock(turning: Turning): void {
  turning.isLocked = false;
  turning.writer.exec("ROLLBACK");
}

function modeOf(database: DatabaseSync): "wal" | "rollback" {
  return database.prepare("PRAGMA journal_mode").get()?.journal_mode === "wal" ? "wal" : "rollback";
}

function readCounter(descriptor: number): number {
  const bytes = Buffer.alloc(4);
  readSync(descriptor, bytes, 0, 4, COUNTER_AT);
  return bytes.readUInt32BE();
}

/** What is done while nobody may commit; rollback journal only. */
function underSharedLock<Result>(of: Opened, act: () => Result): Result {
  begin(of.reader);
  try {
    return act();
  } finally {
    of.reader.exec("COMMIT");
  }
}

function readUnderLock(of: Opened): number {
  return underSharedLock(of, () => readCounter(of.descriptor));
}

function sqliteCode(error: unknown): number | undefined {
  return error instanceof Error && "errcode" in error ? Number(error.errcode) & 0xff : undefined;
}

const handlers: { [Name in Operation]: (ask: Ask<Name>) => Answer<Name> | Promise<Answer<Name>> } = {
  open({ path }) {
    const reader = openReader(path);
    // Reads the header and the schema: what is no database fails here.
    reader.prepare("SELECT count(*) FROM sqlite_schema").get();
    const mode = modeOf(reader);
    opened.set(path, { reader, mode, descriptor: openSync(path, "r") });
    return { mode, pageSize: Number(reader.prepare("PRAGMA page_size").get()?.page_size) };
  },
  hold({ path }) {
    begin(find(path).reader);
    return {};
  },
  held({ path }) {
    if (!find(path).reader.isTransaction) throw new TypeError(`${path} is not held`);
    return {};
  },
  roll({ path }) {
    return { rolled: roll(find(path), path) };
  },
  close({ path }) {
    const of = find(path);
    opened.delete(path);
    // The raw descriptor stays: see above.
    of.spare?.close();
    of.turning?.writer.close();
    of.turning?.checkpointer.close();
    of.reader.close();
    return {};
  },
  async copy({ path, to, ifBusy }) {
    const of = find(path);
    const { mode, reader } = of;
    if (mode === "wal") {
      await copyDatabase(reader, to);
      return {};
    }
    const before = readUnderLock(of);
    const copied = await copyWhileWritten(reader, to);
    if (copied) {
      const after = readUnderLock(of);
      return before === after ? { counter: after } : {};
    }
    if (ifBusy === "as-it-stands") {
      await copyBytes(of.descriptor, to);
      return {};
    }
    begin(reader);
    try {
      await copyDatabase(reader, to);
      return { counter: readCounter(of.descriptor) };
    } finally {
      reader.exec("COMMIT");
    }
  },
  leaveOut({ path, tables }) {
    try {
      leaveOutTables(path, tables);
      return {};
    } catch (error) {
      return { problem: error instanceof Error ? error.message : String(error) };
    }
  },
  check({ path }) {
    const copy = openReader(path);
    try {
      const rows = copy.prepare("PRAGMA integrity_check(10)").all();
      return { problems: rows.map((row) => String(row.integrity_check)).filter((text) => text !== "ok") };
    } catch (error) {
      // So damaged that it cannot even be checked.
      return { problems: [error instanceof Error ? error.message : String(error)] };
    } finally {
      copy.close();
    }
  },
  counter({ path }) {
    return { counter: readUnderLock(find(path)) };
  },
  fix({ path, copy, counter, budget }) {
    const of = find(path);
    return underSharedLock<Answer<"fix">>(of, () => {
      const now = readCounter(of.descriptor);
      if (modeOf(of.reader) !== of.mode) return { result: "mode-changed", counter: now, why: "" };
      if (now === counter) return { result: "same", counter: now, why: "" };
      const target = openSync(copy, "r+");
      const why = fixCopy(of.descriptor, target, budget, () => performance.now());
      return { result: why === undefined ? "changed" : "over", counter: now, why: why ?? "" };
    });
  },
  checkpoint({ path }) {
    checkpointHeld(find(path), path);
    return {};
  },
  lock({ path }) {
    const turning = checkpointHeld(find(path), path);
    lockWriters(turning.writer);
    turning.isLocked = true;
    return {};
  },
  unlock({ path }) {
    unlock(locked(find(path), path));
    return {};
  },
  turn({ path }) {
    const of = find(path);
    const turning = locked(of, path);
    try {
      of.reader.exec("COMMIT");
      const complete = checkpoint(of, turning);
      begin(of.reader);
      return { complete };
    } finally {
      unlock(turning);
    }
  },
  keep({ path, keep }) {
    const of = find(path);
    of.checkpoints ??= { lock: openCheckpointLock(path), isKept: false };
    const { lock } = of.checkpoints;
    of.checkpoints.isKept = keep && lock?.take() === true;
    if (!keep) lock?.release();
    return { kept: of.checkpoints.isKept };
  },
  pin({ paths }) {
    handlers.unpin({ paths });
    for (const path of paths) {
      const reader = pins.get(path) ?? openReader(path);
      pins.set(path, reader);
      begin(reader);
    }
    return {};
  },
  unpin({ paths }) {
    for (const path of paths) {
      const reader = pins.get(path);
      if (reader?.isTransaction) reader.exec("COMMIT");
    }
    return {};
  },
  count({ path }) {
    const pinned = pins.get(path);
    if (pinned !== undefined) return { counts: countRows(pinned) };
    const copy = openReader(path);
    try {
      return { counts: countRows(copy) };
    } finally {
      copy.close();
    }
  },
};

process.on("message", (message) => {
  const { id, operation, ask } = request.parse(message);
  const answered = async () => {
    const handler = handlers[operation] as (ask: unknown) => unknown;
    return await handler(operations[operation].ask.parse(ask));
  };
  answered().then(
    (answer) => process.send?.({ id, answer }),
    (error: unknown) => {
      const errcode = error instanceof Error && "errcode" in error ? Number(error.errcode) : undefined;
      const failure = { message: error instanceof Error ? error.message : String(error), errcode };
      process.send?.({ id, failure });
    },
  );
});
process.on("disconnect", () => process.exit(0));
// It ends by a signal, and then Node keeps nothing of what it compiled for the next one.
flushCompileCache();
