import { fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { copyFile, open, readdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { waitFor } from "@stillpoint/testkit/wait-for";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { machineClock } from "../src/machine-clock.ts";
import { restoreShipped } from "../src/restore-shipped.ts";
import { partsOf } from "../src/ship-position.ts";
import { insert, SEQUENCES } from "./app.ts";
import { type Bench, startBench } from "./capturing.ts";
import { holdersOf, rowsOf, startShipping, startWriter, takeBase, type Writer } from "./shipping.ts";
import { type DirectorySink, directorySink } from "./sink.ts";

let bench: Bench;
let sink: DirectorySink;
let resources: AsyncDisposableStack;
beforeEach(async () => {
  resources = new AsyncDisposableStack();
  bench = resources.use(await startBench());
  sink = await directorySink(await bench.fresh());
});
afterEach(async () => await resources.disposeAsync());

const application = async (name: string, checkpointPages?: number): Promise<Writer> => {
  const writer = resources.use(startWriter(bench.at(name), checkpointPages));
  await writer.reached(20);
  return writer;
};
const ship = async (
  ...[pattern, limits, log]: [string, Parameters<typeof startShipping>[3]?, Parameters<typeof startShipping>[4]?]
) => resources.use(await startShipping(bench, sink, pattern, limits, log));

const restored = async (base: string, target: Parameters<typeof restoreShipped>[0]["target"], log?: string[]) => {
  const to = await bench.fresh();
  const moment = await restoreShipped({ base, log: log ?? (await sink.log()), to, target });
  return { to, ...moment };
};

/** The newest that a base and the log after it give. */
const newest = async (base: string, name = "a.db") => rowsOf(join((await restored(base, "newest")).to, name));

describe("a shipped log", () => {
  test.each([
    ["told at each look", {}],
    // The log begins anew several times within what is told at once.
    ["collected for a while", { collectLittleBytes: 0, collectMs: 300, walLimitBytes: 100_000 }],
    ["too long for memory", { collectMostBytes: 0 }],
  ])("%s gives random moments back under load: everything committed up to each, nothing after", async (how, limits) => {
    const writer = await application("a.db", 50);
    const shipping = await ship("a.db", { stretchBytes: 1 << 20, ...limits });
    const base = await takeBase(bench, "a.db");
    const moments: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      await writer.reached(100 + Math.floor(Math.random() * 300));
      moments.push(Date.now());
    }
    await writer.reached(300);
    await writer.pause();
    await shipping.stop();
    expect(await sink.gaps()).toEqual([]);
    // How long what is collected becomes depends on the machine.
    if (how !== "collected for a while") {
      expect(new Set((await sink.kept()).map(({ kind }) => kind))).toEqual(new Set(["closed", "tail"]));
    }
    for (const moment of moments) {
      const { to, committedBefore, nothingAfter } = await restored(base, { moment });
      const rows = rowsOf(join(to, "a.db"));
      expect(committedBefore).toBeLessThanOrEqual(nothingAfter);
      expect(nothingAfter).toBeLessThanOrEqual(moment);
      const before = writer.written.filter(({ acknowledged }) => acknowledged < committedBefore);
      const after = writer.written.filter(({ begun }) => begun > nothingAfter);
      expect(rows).toBeGreaterThanOrEqual(before.length);
      expect(rows).toBeLessThanOrEqual(writer.written.length - after.length);
      expect((await readdir(to)).sort()).toEqual(["a.db"]);
    }
    expect(await newest(base)).toBe(writer.written.length);
  });

  test("goes on without a hole where nothing was restarted while its process was dead", async () => {
    const writer = await application("a.db", 0);
    const first = await ship("a.db");
    const base = await takeBase(bench, "a.db");
    await writer.reached(100);
    const [pid = 0] = await holdersOf(process.pid);
    process.kill(pid, "SIGKILL");
    await expect(first.ended).rejects.toMatchObject({ code: "SOURCE_LOST" });
    await writer.reached(100);
    const second = await ship("a.db");
    await writer.reached(100);
    await writer.pause();
    await second.stop();
    expect(await sink.gaps()).toEqual([]);
    expect(await newest(base)).toBe(writer.written.length);
  });

  test("whose log was restarted while nobody held it has a gap, and a new base ends it", async () => {
    const writer = await application("a.db", 0);
    const app = await bench.app("a.db");
    const first = await ship("a.db");
    const base = await takeBase(bench, "a.db");
    await writer.reached(50);
    await first.stop();
    const held = await sink.held();
    await writer.reached(50);
    await writer.pause();
    expect(await app.sql("PRAGMA wal_checkpoint(TRUNCATE)")).toMatchObject([{ busy: 0 }]);
    writer.resume();
    await writer.reached(50);
    const second = await ship("a.db");
    expect(await sink.gaps()).toMatchObject([{ after: held, why: expect.stringMatching(/restarted/) }]);
    await writer.reached(50);
    const later = await takeBase(bench, "a.db");
    await writer.reached(50);
    await writer.pause();
    await second.stop();
    await expect(newest(base)).rejects.toMatchObject({
      code: "VERIFICATION_FAILED",
      why: expect.stringMatching(/hole/),
    });
    expect(await newest(later)).toBe(writer.written.length);
  });

  test("goes on without a hole where a writer stands still in the middle of saying what it committed", async () => {
    const writer = await application("a.db");
    const shipping = await ship("a.db");
    const base = await takeBase(bench, "a.db");
    await writer.reached(50);
    await writer.pause();
    // The second of the two copies of the log's index is of before: what a writer leaves that is kept from the processor there.
    await using index = await open(`${bench.at("a.db")}-shm`, "r+");
    const copy = (await index.read(Buffer.alloc(48), 0, 48, 48)).buffer;
    await index.write(Buffer.alloc(48, 1), 0, 48, 48);
    for (let flush = 0; flush < 5; flush += 1) await shipping.caughtUp();
    await index.write(copy, 0, 48, 48);
    writer.resume();
    await writer.reached(50);
    await writer.pause();
    await shipping.stop();
    expect(await sink.gaps()).toEqual([]);
    expect(await newest(base)).toBe(writer.written.length);
  });

  test("survives the loss of the whole shipper: no hole, or a recorded one", async () => {
    const writer = await application("a.db");
    const directory = await bench.fresh();
    sink = await directorySink(directory);
    const program = fileURLToPath(new URL("./fixtures/shipper.ts", import.meta.url));
    const shipper = fork(program, [bench.at("a.db"), directory, await bench.fresh()], { execArgv: [] });
    await once(shipper, "message");
    const bases = [await takeBase(bench, "a.db")];
    await writer.reached(200);
    const holders = await holdersOf(shipper.pid ?? 0);
    shipper.kill("SIGKILL");
    await once(shipper, "exit");
    await waitFor("its holder is gone too", async () => {
      const there = await Promise.all(
        holders.map(
          async (pid) =>
            await stat(`/proc/${pid}`).then(
              () => true,
              () => false,
            ),
        ),
      );
      return there.every((each) => !each);
    });
    const second = await ship("a.db");
    if ((await sink.gaps()).length > 0) bases.push(await takeBase(bench, "a.db"));
    await writer.reached(200);
    await writer.pause();
    await second.stop();
    expect(await newest(bases.at(-1) ?? "")).toBe(writer.written.length);
  });

  test("does not keep another process from emptying the log, and loses nothing by it", async () => {
    const writer = await application("a.db", 0);
    const app = await bench.app("a.db", "PRAGMA busy_timeout=5000");
    const shipping = await ship("a.db");
    const base = await takeBase(bench, "a.db");
    for (let round = 0; round < 3; round += 1) {
      await writer.reached(50);
      // Held to its end by the checkpoint's own patience: writers wait no longer than that.
      expect(await app.sql("PRAGMA wal_checkpoint(TRUNCATE)")).toMatchObject([{ busy: 0 }]);
    }
    await writer.reached(50);
    await writer.pause();
    await shipping.stop();
    expect(await sink.gaps()).toEqual([]);
    expect(await newest(base)).toBe(writer.written.length);
  });

  test("outlives the application: while nobody but the shipper has the database open, its log stays", async () => {
    const first = await application("a.db");
    const shipping = await ship("a.db");
    const base = await takeBase(bench, "a.db");
    await first.reached(50);
    await first.pause();
    await first[Symbol.asyncDispose]();
    await shipping.caughtUp();
    const second = await application("a.db");
    await second.reached(50);
    await second.pause();
    await shipping.stop();
    expect(await sink.gaps()).toEqual([]);
    expect(await newest(base)).toBe(first.written.length + second.written.length);
  });

  test("that outgrows its limit is let go in order, no writer is refused, and nothing is lost", async () => {
    const writer = await application("a.db", 20);
    let relieved = 0;
    const shipping = await ship("a.db", { walLimitBytes: 200_000 }, (_, fields) => {
      if (fields?.complete === true) relieved += 1;
    });
    const base = await takeBase(bench, "a.db");
    await waitFor("the log was let go three times", async () => {
      await writer.reached(20);
      return relieved >= 3;
    });
    await writer.pause();
    await shipping.stop();
    expect(await sink.gaps()).toEqual([]);
    expect(await newest(base)).toBe(writer.written.length);
  });

  test("of an application without a pause is checkpointed by the shipper alone, and by anybody once there is one", async () => {
    const app = await bench.app("a.db", "PRAGMA journal_mode=WAL", SEQUENCES, "CREATE TABLE total (rows INTEGER)");
    await app.sql("INSERT INTO total VALUES (0)");
    const shipping = await ship("a.db");
    const base = await takeBase(bench, "a.db");
    const isRefused = async () => (await app.sql("PRAGMA wal_checkpoint(PASSIVE)"))[0]?.busy === 1;
    let rows = 0;
    await waitFor("a checkpoint is refused", async () => {
      await app.sql("BEGIN");
      for (const last = rows + 20; rows < last; ) {
        rows += 1;
        await app.sql("INSERT INTO written VALUES (?, ?)", rows, "filling ".repeat(5000));
      }
      await app.sql("UPDATE total SET rows = ?", rows);
      await app.sql("COMMIT");
      return await isRefused();
    });
    // A writer dies in the middle of saying what it committed: who repairs that needs the shipper's lock.
    await using index = await open(`${bench.at("a.db")}-shm`, "r+");
    await index.write(Buffer.alloc(48, 1), 0, 48, 48);
    expect(await app.sql("SELECT count(*) AS rows FROM written")).toEqual([{ rows }]);
    await waitFor("a checkpoint is not refused any more", async () => !(await isRefused()));
    await shipping.stop();
    expect(await sink.gaps()).toEqual([]);
    expect(await newest(base)).toBe(rows);
  });

  test("of several databases comes back as one moment; one that went is not there, one that came is a gap", async () => {
    const [one, two] = [await application("one.db", 30), await application("two.db", 70)];
    const third = await application("three.db");
    const shipping = await ship("*.db", { findEveryMs: 50 });
    const base = await takeBase(bench, "*.db");
    await Promise.all([one.reached(200), two.reached(200)]);
    await third[Symbol.asyncDispose]();
    for (const suffix of ["", "-wal", "-shm"]) await rm(bench.at(`three.db${suffix}`), { force: true });
    await shipping.caughtUp();
    await Promise.all([one.pause(), two.pause()]);
    await shipping.caughtUp();
    const { to } = await restored(base, "newest");
    expect((await readdir(to)).sort()).toEqual(["one.db", "two.db"]);
    expect([rowsOf(join(to, "one.db")), rowsOf(join(to, "two.db"))]).toEqual(
      [one, two].map((each) => each.written.length),
    );
    const four = await application("four.db");
    await waitFor("a gap is recorded", async () => (await sink.gaps()).length > 0);
    const later = await takeBase(bench, "*.db");
    await four.reached(20);
    await four.pause();
    await shipping.stop();
    expect(await newest(later, "four.db")).toBe(four.written.length);
  });

  test("goes on by all of several logs after a restart, and none of it is replayed twice", async () => {
    const [one, two] = [await application("one.db", 0), await application("two.db", 0)];
    const first = await ship("*.db");
    const base = await takeBase(bench, "*.db");
    await Promise.all([one.reached(50), two.reached(50)]);
    await first.stop();
    await one.reached(50);
    const second = await ship("*.db");
    await two.reached(50);
    await Promise.all([one.pause(), two.pause()]);
    await second.stop();
    expect(await sink.gaps()).toEqual([]);
    expect(await newest(base, "one.db")).toBe(one.written.length);
    expect(await newest(base, "two.db")).toBe(two.written.length);
  });
});

describe("a crash of the application and of the shipper, with their disk", () => {
  test("loses nothing that was committed before the position of the last flush", async () => {
    const clock = await machineClock();
    if (clock === undefined) throw new Error("this system has no clock that positions are told by");
    const aheadMs = Date.now() - clock.nowMs();
    const writer = await application("a.db");
    const directory = await bench.fresh();
    sink = await directorySink(directory);
    const program = fileURLToPath(new URL("./fixtures/shipper.ts", import.meta.url));
    const shipper = fork(program, [bench.at("a.db"), directory, await bench.fresh()], { execArgv: [] });
    resources.defer(() => void shipper.kill("SIGKILL"));
    await once(shipper, "message");
    const base = await takeBase(bench, "a.db");
    await writer.reached(200);
    await once(shipper, "message");
    await writer.reached(50);
    shipper.kill("SIGKILL");
    await Promise.all([once(shipper, "exit"), writer.kill()]);
    for (const suffix of ["", "-wal", "-shm"]) await rm(bench.at(`a.db${suffix}`), { force: true });
    const held = await sink.held();
    const heldMs = (held && partsOf(held)?.ms) ?? 0;
    // By the clock of people, which stood where it stood when it was asked, and a millisecond for each rounding.
    const before = writer.written.filter(({ acknowledged }) => acknowledged < heldMs + aheadMs - 2);
    expect(before.length).toBeGreaterThan(200);
    expect(await newest(base)).toBeGreaterThanOrEqual(before.length);
  });
});

describe("a source that cannot be shipped", () => {
  test("is told by what is wrong with it: locked, damaged, encrypted, no database, without a log", async () => {
    const app = await bench.app("a.db", "PRAGMA journal_mode=WAL", SEQUENCES, "CREATE INDEX i ON written (filling)");
    await insert(app, 1);
    await bench.app("locked.db", "PRAGMA locking_mode=EXCLUSIVE", "PRAGMA journal_mode=WAL", SEQUENCES);
    await expect(ship("locked.db")).rejects.toMatchObject({ code: "SOURCE_LOCKED", where: bench.at("locked.db") });
    await writeFile(bench.at("secret.db"), randomBytes(16_384));
    await expect(ship("secret.db")).rejects.toMatchObject({ code: "SOURCE_ENCRYPTED", where: bench.at("secret.db") });
    await writeFile(bench.at("text.db"), "no database at all".repeat(100));
    await expect(ship("text.db")).rejects.toMatchObject({
      code: "SOURCE_UNSUPPORTED",
      why: expect.stringMatching(/no SQLite database/),
    });
    await bench.app("journal.db", "PRAGMA journal_mode=DELETE", SEQUENCES);
    await expect(ship("journal.db")).rejects.toMatchObject({
      code: "SOURCE_UNSUPPORTED",
      why: expect.stringMatching(/no database in WAL mode/),
    });
    await app[Symbol.asyncDispose]();
    await copyFile(bench.at("a.db"), bench.at("damaged.db"));
    await using file = await open(bench.at("damaged.db"), "r+");
    await file.write(Buffer.alloc(3900, 0x5a), 0, 3900, 100);
    await expect(ship("damaged.db")).rejects.toMatchObject({ code: "SOURCE_DAMAGED", where: bench.at("damaged.db") });
  });

  test("because it is not there any more says so; one of several without a log is named, and the others are shipped", async () => {
    const writer = await application("a.db");
    await bench.app("journal.db", "PRAGMA journal_mode=DELETE", SEQUENCES);
    const said: string[] = [];
    const shipping = await ship("*.db", { findEveryMs: 50 }, (message) => void said.push(message));
    expect(said).toContainEqual(expect.stringMatching(/^journal\.db has no log/));
    await writer.reached(20);
    await writer.pause();
    await writer[Symbol.asyncDispose]();
    for (const suffix of ["", "-wal", "-shm"]) await rm(bench.at(`a.db${suffix}`), { force: true });
    await expect(shipping.ended).rejects.toMatchObject({ code: "SOURCE_VANISHED" });
    expect((await sink.kept()).length).toBeGreaterThan(0);
  });
});

describe("a shipped log that is not whole", () => {
  const shipped = async () => {
    const writer = await application("a.db");
    const shipping = await ship("a.db");
    const base = await takeBase(bench, "a.db");
    for (let round = 0; round < 4; round += 1) {
      await writer.reached(30);
      await shipping.caughtUp();
    }
    await writer.pause();
    await shipping.stop();
    return base;
  };

  test("with a flipped byte is named, and nothing is replaced", async () => {
    const base = await shipped();
    const log = await sink.log();
    const damaged = log.at(-2) ?? "";
    await using file = await open(damaged, "r+");
    await file.write(Buffer.from([0x5a, 0xa5]), 0, 2, Math.floor((await file.stat()).size / 2));
    await copyFile(join(base, "a.db"), bench.at("before.db"));
    await expect(restoreShipped({ base, log, to: base, target: "newest" })).rejects.toMatchObject({
      code: "VERIFICATION_FAILED",
    });
    expect(rowsOf(join(base, "a.db"))).toBe(rowsOf(bench.at("before.db")));
    expect((await readdir(base)).sort()).toEqual([".stillpoint", "a.db"]);
  });

  test("with a flush missing is found out, and said to have a hole", async () => {
    const base = await shipped();
    const log = await sink.log();
    const holed = log.filter((_, index) => index !== log.length - 3);
    await expect(restored(base, "newest", holed)).rejects.toMatchObject({
      code: "VERIFICATION_FAILED",
      why: expect.stringMatching(/hole/),
    });
  });

  test("is not asked for a moment before its base was whole", async () => {
    const base = await shipped();
    await expect(restored(base, { moment: 1 })).rejects.toMatchObject({ code: "INVALID_REQUEST" });
  });
});
