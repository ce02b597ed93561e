import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { sqliteSource } from "@stillpoint/contracts/source";
import { waitFor } from "@stillpoint/testkit/wait-for";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startHolder } from "../src/holder-client.ts";
import { createSqliteDriver } from "../src/sqlite-driver.ts";
import { insert, locks, SEQUENCES } from "./app.ts";
import { type Bench, checks, extracted, listing, marked, startBench, verdicts } from "./capturing.ts";

const WAL = "PRAGMA journal_mode=WAL";
const JOURNAL = "PRAGMA journal_mode=DELETE";
let bench: Bench;
beforeEach(async () => {
  bench = await startBench();
});
afterEach(async () => await bench[Symbol.asyncDispose]());

async function max(sandbox: Awaited<ReturnType<Bench["start"]>>) {
  return (await Array.fromAsync(sandbox.query({ type: "max", id: "max", of: "written.sequence" })))[0];
}

describe("a write-ahead log", () => {
  test("that outgrows its limit is let go in order, and every commit is still in the restore", async () => {
    const app = await bench.app("a.db", WAL, "PRAGMA wal_autocheckpoint=20", SEQUENCES);
    let relieved = 0;
    const driver = createSqliteDriver({ walLimitBytes: 100_000, watchEveryMs: 5 });
    const capture = await bench.open("a.db", driver, (_, fields) => {
      if (fields?.complete === true) relieved += 1;
    });
    const directory = await bench.fresh();
    await extracted(directory, (tree) => capture.base(tree));
    const salts = new Set<string>();
    let sequence = 0;
    const write = async (rows: number) => {
      for (const last = sequence + rows; sequence < last; ) {
        sequence += 1;
        await insert(app, sequence);
      }
    };
    // Each generation of the log has salts of its own.
    while (salts.size < 4) {
      await write(10);
      salts.add((await generation(bench.at("a.db-wal"))).toString());
      expect(sequence, "the log is never restarted").toBeLessThan(50_000);
    }
    // The application may restart the log before the holder's answer is here that lets it.
    await waitFor("the driver let go of the log three times", () => relieved >= 3);
    const mark = await marked(capture);
    const last = sequence;
    await write(200);
    await extracted(directory, (tree) => capture.finish(tree));
    const sandbox = await bench.start(directory, mark);
    expect(await max(sandbox)).toEqual({ max: last });
    expect(verdicts(await checks(sandbox))).toEqual(new Set(["pass"]));
    await capture[Symbol.asyncDispose]();
    expect(await locks(app)).toEqual([]);
  });

  test("is kept whole while it is held, however the application checkpoints", async () => {
    // A checkpoint that finds a reader waits for it as long as the application says: here not at all.
    const app = await bench.app("a.db", WAL, "PRAGMA busy_timeout=0", SEQUENCES);
    const capture = await bench.open("a.db");
    const directory = await bench.fresh();
    await extracted(directory, (tree) => capture.base(tree));
    for (let sequence = 1; sequence <= 100; sequence += 1) {
      await insert(app, sequence);
      if (sequence % 10 === 0) await app.sql(`PRAGMA wal_checkpoint(${sequence % 20 === 0 ? "PASSIVE" : "TRUNCATE"})`);
    }
    // Counts that take longer than a fence bears are left out of a mark.
    const mark = await waitFor("a mark has counts", async () => {
      const taken = await marked(capture);
      return taken.counts !== undefined && taken;
    });
    expect(mark.counts).toEqual({ written: 100 });
    await extracted(directory, (tree) => capture.finish(tree));
    const sandbox = await bench.start(directory, mark);
    expect(await max(sandbox)).toEqual({ max: 100 });
    expect(verdicts(await checks(sandbox))).toEqual(new Set(["pass"]));
  });

  test("with a flipped byte is told by the frames that are missing", async () => {
    const app = await bench.app("a.db", WAL, SEQUENCES);
    const capture = await bench.open("a.db");
    const directory = await bench.fresh();
    await extracted(directory, (tree) => capture.base(tree));
    for (let sequence = 1; sequence <= 20; sequence += 1) await insert(app, sequence);
    const mark = await marked(capture);
    await extracted(directory, (tree) => capture.finish(tree));
    const path = `${directory}/a.db-wal`;
    await using file = await open(path, "r+");
    const { size } = await file.stat();
    await file.write(Buffer.from([0xff]), 0, 1, Math.floor(size / 2));
    const rows = await checks(await bench.start(directory, mark));
    expect(rows.find((row) => row.name === "log a.db")).toMatchObject({ verdict: "fail" });
    expect(rows.find((row) => row.name === "counts a.db")).toMatchObject({ verdict: "fail" });
  });
});

describe("a rollback journal", () => {
  test("needs nothing at the finish where nobody wrote, and the changed pages where somebody did", async () => {
    const app = await bench.app("a.db", JOURNAL, SEQUENCES);
    for (let sequence = 1; sequence <= 10; sequence += 1) await insert(app, sequence);
    const capture = await bench.open("a.db");
    const directory = await bench.fresh();
    await extracted(directory, (tree) => capture.base(tree));
    await marked(capture);
    const tree = listing();
    await capture.finish(tree);
    expect(tree.added).toEqual([".stillpoint/sqlite.json"]);
    await capture.settle();
    // Between settling and the mark, as a writer does until the fence holds it.
    await insert(app, 11);
    const mark = await capture.mark({ cutId: crypto.randomUUID(), budgetMs: 60_000, fenced: true });
    expect(mark.fuzzy).toBeUndefined();
    await insert(app, 12);
    await extracted(directory, (tree) => capture.finish(tree));
    const sandbox = await bench.start(directory, mark);
    expect(await max(sandbox)).toEqual({ max: 11 });
    expect(verdicts(await checks(sandbox))).toEqual(new Set(["pass"]));
  });

  test("past the budget the mark is fuzzy and says why, and the restore is whole all the same", async () => {
    const app = await bench.app("a.db", JOURNAL, SEQUENCES);
    const capture = await bench.open("a.db");
    const directory = await bench.fresh();
    await extracted(directory, (tree) => capture.base(tree));
    await capture.settle();
    await insert(app, 1);
    const mark = await capture.mark({ cutId: crypto.randomUUID(), budgetMs: 0, fenced: true });
    expect(mark.fuzzy).toMatch(/^a\.db is copied after the cut, for .*ms/);
    await insert(app, 2);
    await extracted(directory, (tree) => capture.finish(tree));
    const sandbox = await bench.start(directory, mark);
    expect(await max(sandbox)).toEqual({ max: 2 });
    expect(verdicts(await checks(sandbox))).toEqual(new Set(["pass"]));
  });
});

describe("several databases", () => {
  test("of a glob come back together, each in its mode, and answer as one", async () => {
    await mkdir(bench.at("tenants"));
    const [one, two] = [
      await bench.app("tenants/one.db", WAL, SEQUENCES),
      await bench.app("tenants/two.db", JOURNAL, SEQUENCES),
    ];
    const capture = await bench.open("tenants/*.db");
    const directory = await bench.fresh();
    await extracted(directory, (tree) => capture.base(tree));
    for (const sequence of [1, 2, 3]) await insert(one, sequence);
    for (const sequence of [3, 40]) await insert(two, sequence);
    const three = await bench.app("tenants/three.db", WAL, SEQUENCES);
    await insert(three, 7);
    const mark = await marked(capture);
    await extracted(directory, (tree) => capture.finish(tree));
    const sandbox = await bench.start(directory, mark);
    const values = await Array.fromAsync(sandbox.query({ type: "values", id: "values", of: "written.sequence" }));
    expect(values).toEqual(["1", "2", "3", "40", "7"].map((value) => ({ value })));
    expect(await max(sandbox)).toEqual({ max: 40 });
    const text = "select count(*), 'x', null, 9007199254740993 from written";
    const rows = await Array.fromAsync(sandbox.query({ type: "statement", id: "statement", text }));
    expect(rows).toEqual([3, 1, 2].map((count) => ({ values: [count, "x", null, "9007199254740993"] })));
    expect(verdicts(await checks(sandbox))).toEqual(new Set(["pass"]));
  });

  test("one that went during the run is not in the restore, one that came after settling makes the mark fuzzy", async () => {
    await bench.app("kept.db", WAL, SEQUENCES);
    const gone = await bench.app("gone.db", WAL, SEQUENCES);
    const capture = await bench.open("*.db");
    const directory = await bench.fresh();
    await extracted(directory, (tree) => capture.base(tree));
    await capture.settle();
    await gone[Symbol.asyncDispose]();
    await rm(bench.at("gone.db"));
    await bench.app("late.db", WAL, SEQUENCES);
    const mark = await capture.mark({ cutId: crypto.randomUUID(), budgetMs: 60_000, fenced: true });
    expect(mark.notes).toEqual(["gone.db was deleted during the run"]);
    expect(mark.fuzzy).toMatch(/late\.db appeared/);
    await extracted(directory, (tree) => capture.finish(tree));
    await expect(stat(`${directory}/gone.db`)).rejects.toMatchObject({ code: "ENOENT" });
    expect(verdicts(await checks(await bench.start(directory, mark)))).toEqual(new Set(["pass"]));
  });
});

describe("tables that are left out", () => {
  const excluding = (pattern: string, ...exclude: string[]) =>
    sqliteSource.parse({ kind: "sqlite", path: bench.at(pattern), exclude, ship: "off" });

  test.each([WAL, JOURNAL])(
    "are in no byte of what is captured, and the rest is that of the mark (%s)",
    async (mode) => {
      const app = await bench.app(
        "a.db",
        mode,
        SEQUENCES,
        "CREATE TABLE Cache (id INTEGER PRIMARY KEY, token TEXT)",
        "CREATE INDEX cached ON cache (token)",
      );
      const secret = async (id: number) =>
        await app.sql("INSERT INTO cache VALUES (?, ?)", id, `secret-${"x".repeat(40)}-${id}`);
      for (const each of [1, 2, 3]) await Promise.all([insert(app, each), secret(each)]);
      const capture = await bench.open(excluding("a.db", "cache", "none"));
      expect(capture.description).toMatchObject({
        finish: "full",
        notes: expect.arrayContaining([expect.stringMatching(/left out: cache, none/)]),
      });
      expect(capture.description.base).toBeUndefined();
      await capture.settle();
      for (const each of [4, 5]) await Promise.all([insert(app, each), secret(each)]);
      const mark = await capture.mark({ cutId: crypto.randomUUID(), budgetMs: 60_000, fenced: true });
      expect(Object.keys(mark.counts ?? { written: 5 })).toEqual(["written"]);
      await insert(app, 6);
      const directory = await bench.fresh();
      await extracted(directory, (tree) => capture.finish(tree));
      expect((await readdir(directory)).sort()).toEqual([".stillpoint", "a.db"]);
      expect((await readFile(join(directory, "a.db"))).includes("secret-")).toBe(false);
      const sandbox = await bench.start(directory, mark);
      expect(await max(sandbox)).toEqual({ max: 5 });
      expect(verdicts(await checks(sandbox))).toEqual(new Set(["pass"]));
    },
  );

  test("which SQLite does not let go are named, and nothing of the database goes out", async () => {
    await bench.app("a.db", WAL, SEQUENCES, "CREATE VIRTUAL TABLE searched USING fts5(words)");
    const capture = await bench.open(excluding("a.db", "searched_data"));
    await marked(capture);
    const tree = listing();
    await expect(capture.finish(tree)).rejects.toMatchObject({
      code: "SOURCE_UNSUPPORTED",
      why: expect.stringMatching(/searched_data/),
    });
    expect(tree.added).toEqual([]);
  });

  test("are refused beside a log that has every table", () => {
    const refused = sqliteSource.safeParse({ kind: "sqlite", path: "/a.db", exclude: ["cache"] });
    expect(refused.error?.issues).toMatchObject([{ path: ["exclude"], message: expect.stringMatching(/ship: off/) }]);
  });
});

describe("a source that cannot be captured", () => {
  test("a database that was replaced is SOURCE_CHANGED: the next run makes a new base", async () => {
    await bench.app("a.db", WAL, SEQUENCES);
    await bench.app("b.db", WAL, SEQUENCES);
    const capture = await bench.open("a.db");
    await capture.settle();
    await rename(bench.at("b.db"), bench.at("a.db"));
    await expect(capture.mark({ cutId: crypto.randomUUID(), budgetMs: 60_000, fenced: true })).rejects.toMatchObject({
      code: "SOURCE_CHANGED",
    });
  });

  test("a damaged database is named before any of it goes out", async () => {
    const app = await bench.app("a.db", JOURNAL, SEQUENCES, "CREATE INDEX filling ON written (filling)");
    for (let sequence = 1; sequence <= 100; sequence += 1) await insert(app, sequence);
    await app[Symbol.asyncDispose]();
    await using file = await open(bench.at("a.db"), "r+");
    await file.write(Buffer.alloc(2000, 0x5a), 0, 2000, 4096 * 3);
    const capture = await bench.open("a.db");
    const tree = listing();
    await expect(capture.base(tree)).rejects.toMatchObject({ code: "SOURCE_DAMAGED", where: bench.at("a.db") });
    expect(tree.added).toEqual([]);
  });

  test("a file that is no database is refused, and so is one that an application keeps to itself", async () => {
    await writeFile(bench.at("text.db"), "no database at all, but long enough to look at it".repeat(100));
    await expect(bench.open("text.db")).rejects.toMatchObject({ code: "SOURCE_UNSUPPORTED" });
    await bench.app("own.db", "PRAGMA locking_mode=EXCLUSIVE", WAL, SEQUENCES);
    await expect(bench.open("own.db")).rejects.toMatchObject({ code: "SOURCE_LOCKED", retry: "backoff" });
  });

  test("an encrypted file is told from one that is no database, and both from one that was there and is gone", async () => {
    await writeFile(bench.at("secret.db"), randomBytes(16_384));
    await expect(bench.open("secret.db")).rejects.toMatchObject({
      code: "SOURCE_ENCRYPTED",
      where: bench.at("secret.db"),
    });
    await writeFile(bench.at("packed.db"), gzipSync(randomBytes(16_384)).subarray(0, 16_384));
    await expect(bench.open("packed.db")).rejects.toMatchObject({ code: "SOURCE_UNSUPPORTED" });
    const holder = await startHolder(new AbortController().signal);
    await expect(holder.ask("open", { path: bench.at("gone.db") })).rejects.toMatchObject({ code: "SOURCE_VANISHED" });
    await holder[Symbol.asyncDispose]();
  });

  test("when the process that holds the locks is gone, the capture says so instead of going on", async () => {
    const app = await bench.app("a.db", WAL, SEQUENCES);
    await insert(app, 1);
    const capture = await bench.open("a.db");
    await capture.settle();
    for (const pid of await holders()) process.kill(pid, "SIGKILL");
    await expect(marked(capture)).rejects.toMatchObject({ code: "SOURCE_LOST" });
    expect(await locks(app)).toEqual([]);
  });
});

/** The salts of a live log. */
async function generation(path: string): Promise<bigint> {
  await using file = await open(path, "r");
  return (await file.read(Buffer.alloc(8), 0, 8, 16)).buffer.readBigUInt64BE();
}

/** Processes of the driver that this one started. */
async function holders(): Promise<number[]> {
  const children = await readFile(`/proc/self/task/${process.pid}/children`, "utf8");
  const pids = children.trim().split(" ").map(Number);
  const commands = await Promise.all(pids.map(async (pid) => await readFile(`/proc/${pid}/cmdline`, "utf8")));
  return pids.filter((_, index) => commands[index]?.includes("holder.ts"));
}
