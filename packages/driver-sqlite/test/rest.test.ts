import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { waitFor } from "@stillpoint/testkit/wait-for";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createSqliteDriver, sqliteDriver } from "../src/sqlite-driver.ts";
import { driverContext, insert, SEQUENCES } from "./app.ts";
import { type Bench, checks, marked, startBench, verdicts } from "./capturing.ts";
import { finished, openResting, restoredPoint } from "./resting.ts";
import { rowsOf, startShipping, startWriter, takeBase } from "./shipping.ts";
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

const application = async (name: string, checkpointPages?: number) => {
  const writer = resources.use(startWriter(bench.at(name), checkpointPages));
  await writer.reached(20);
  return writer;
};

describe("a point that rests on a base and the shipped log", () => {
  test.each([
    // Of a page that is written again and again the log has the newest version only, a second apart: no look is at the mark.
    ["between two looks", { collectLittleBytes: 0, collectMs: 300 }, 64 << 20],
    ["as the log begins anew", { walLimitBytes: 100_000 }, 100_000],
    ["in a log that is shipped frame by frame", { collectMostBytes: 0 }, 64 << 20],
  ])("%s is exactly its mark under load, and brings no base", async (_, limits, walLimitBytes) => {
    const writer = await application("a.db", 50);
    const shipping = resources.use(await startShipping(bench, sink, "a.db", limits));
    await writer.reached(100);
    const base = await takeBase(bench, "a.db");
    const driver = createSqliteDriver({ walLimitBytes, watchEveryMs: 20 });
    const points = [];
    for (const isPaused of [false, true]) {
      await writer.reached(50);
      const capture = resources.use(await openResting(bench, sink, "a.db", driver));
      expect(capture.description.base).toBeUndefined();
      await writer.reached(100);
      if (isPaused) await writer.pause();
      const before = Date.now();
      const mark = await marked(capture);
      const after = Date.now();
      const known = isPaused ? writer.written.length : undefined;
      if (isPaused) writer.resume();
      // What is committed, checkpointed and shipped from here on is in no point.
      await writer.reached(100);
      const given = await finished(bench, capture);
      await capture[Symbol.asyncDispose]();
      points.push({ mark, before, after, known, ...given });
    }
    await writer.pause();
    await shipping.stop();
    expect(await sink.gaps()).toEqual([]);
    for (const { mark, before, after, known, finish, added } of points) {
      expect(added.sort()).toEqual([".stillpoint/since/a.db-wal", ".stillpoint/sqlite.json"]);
      const restored = await restoredPoint(bench, { base, finish, mark, sink });
      const sandbox = await bench.start(restored.directory, restored.mark);
      const rows = await checks(sandbox);
      expect(rows.filter(({ verdict }) => verdict !== "pass")).toEqual([]);
      await sandbox[Symbol.asyncDispose]();
      const there = rowsOf(join(restored.directory, "a.db"));
      if (known !== undefined) expect(there).toBe(known);
      expect(there).toBeGreaterThanOrEqual(writer.written.filter(({ acknowledged }) => acknowledged < before).length);
      expect(there).toBeLessThanOrEqual(writer.written.filter(({ begun }) => begun <= after).length);
    }
  });

  test("of an idle database brings nothing, and waits for nothing that is not shipped", async () => {
    const writer = await application("a.db");
    const shipping = resources.use(await startShipping(bench, sink, "a.db", { quietFirstMs: 3_600_000 }));
    const base = await takeBase(bench, "a.db");
    await writer.reached(20);
    await writer.pause();
    await shipping.caughtUp();
    const held = await sink.held();
    const capture = resources.use(await openResting(bench, sink, "a.db"));
    const mark = await marked(capture);
    expect(mark.log?.place).toEqual(held);
    const { finish, added } = await finished(bench, capture);
    expect(added).toEqual([".stillpoint/sqlite.json"]);
    const restored = await restoredPoint(bench, { base, finish, mark, sink });
    const sandbox = await bench.start(restored.directory, restored.mark);
    expect(verdicts(await checks(sandbox))).toEqual(new Set(["pass"]));
    await sandbox[Symbol.asyncDispose]();
    expect(rowsOf(join(restored.directory, "a.db"))).toBe(writer.written.length);
  });

  test("is made though no flush is due for an hour, and of it is what was committed up to its mark", async () => {
    const writer = await application("a.db", 50);
    const shipping = resources.use(await startShipping(bench, sink, "a.db", { flushMs: 3_600_000 }));
    const base = await takeBase(bench, "a.db");
    await writer.reached(50);
    const capture = resources.use(await openResting(bench, sink, "a.db", sqliteDriver, shipping.askFlush));
    await writer.reached(20);
    await writer.pause();
    const rows = writer.written.length;
    const mark = await marked(capture);
    writer.resume();
    const { finish, added } = await finished(bench, capture);
    expect(added).not.toContain("a.db");
    const restored = await restoredPoint(bench, { base, finish, mark, sink });
    const sandbox = await bench.start(restored.directory, restored.mark);
    await sandbox[Symbol.asyncDispose]();
    expect(rowsOf(join(restored.directory, "a.db"))).toBe(rows);
  });

  test("of a large database brings what was written since, once a page, and not the database", async () => {
    const app = await bench.app("a.db", "PRAGMA journal_mode=WAL", SEQUENCES);
    await app.sql(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) INSERT INTO written SELECT i, printf('%0200d', i) FROM n",
    );
    resources.use(await startShipping(bench, sink, "a.db"));
    const base = await takeBase(bench, "a.db");
    await insert(app, 30_001);
    const capture = resources.use(await openResting(bench, sink, "a.db"));
    for (let sequence = 30_002; sequence <= 30_200; sequence += 1) await insert(app, sequence);
    const mark = await marked(capture);
    const { finish } = await finished(bench, capture);
    const [whole, brought] = [await stat(join(base, "a.db")), await stat(join(finish, ".stillpoint/since/a.db-wal"))];
    expect(whole.size).toBeGreaterThan(4_000_000);
    // 199 rows of 170 bytes, in pages of 4096: each of some twelve pages once, though each was committed a dozen times.
    expect(brought.size).toBeLessThan(100_000);
    const restored = await restoredPoint(bench, { base, finish, mark, sink });
    const sandbox = await bench.start(restored.directory, restored.mark);
    expect(verdicts(await checks(sandbox))).toEqual(new Set(["pass"]));
    expect(await Array.fromAsync(sandbox.query({ type: "max", id: "max", of: "written.sequence" }))).toEqual([
      { max: 30_200 },
    ]);
  });

  test("of several databases has those of the mark: none that was deleted, those without a log as they were then", async () => {
    const writer = await application("a.db");
    const other = await application("b.db");
    const journal = await bench.app("j.db", SEQUENCES);
    const old = await bench.app("old.db", SEQUENCES);
    for (const app of [journal, old]) await insert(app, 1);
    const shipping = resources.use(await startShipping(bench, sink, "*.db", { findEveryMs: 20 }));
    const base = await takeBase(bench, "*.db");
    await insert(journal, 2);
    await old[Symbol.asyncDispose]();
    await rm(bench.at("old.db"));
    const capture = resources.use(await openResting(bench, sink, "*.db"));
    await other.pause();
    const kept = other.written.length;
    await writer.pause();
    const mark = await marked(capture);
    const rows = writer.written.length;
    for (const each of [writer, other]) each.resume();
    await insert(journal, 3);
    await writer.reached(100);
    const { finish, added } = await finished(bench, capture);
    expect(added).toContain("j.db");
    expect(added).not.toContain("a.db");
    await shipping.caughtUp();
    const restored = await restoredPoint(bench, { base, finish, mark, sink });
    const sandbox = await bench.start(restored.directory, restored.mark);
    expect(verdicts(await checks(sandbox))).toEqual(new Set(["pass"]));
    await sandbox[Symbol.asyncDispose]();
    expect(rowsOf(join(restored.directory, "a.db"))).toBe(rows);
    expect(rowsOf(join(restored.directory, "b.db"))).toBe(kept);
    const names = (await readdir(restored.directory)).filter((name) => name.endsWith(".db"));
    expect(names.sort()).toEqual(["a.db", "b.db", "j.db"]);
  });
});

describe("a point that cannot rest on the shipped log", () => {
  const opened = async () => {
    const asked: boolean[] = [];
    const context = driverContext(await bench.fresh(), new AbortController().signal);
    const capture = await sqliteDriver.open(bench.source("*.db"), context, {
      async heldPlace(serves) {
        const held = await sink.held();
        if (held !== undefined) asked.push(await serves(held));
        return undefined;
      },
    });
    return { capture: resources.use(capture), asked };
  };

  test("because nobody ships it any more makes its own base and carries the log itself", async () => {
    const writer = await application("a.db");
    const shipping = resources.use(await startShipping(bench, sink, "a.db"));
    await shipping.stop();
    await writer.reached(50);
    const { capture, asked } = await opened();
    expect(asked).toEqual([false]);
    expect(capture.description.base).toBe("full");
    expect((await marked(capture)).log).toBeUndefined();
  });

  test("because its log has not this database, of which the base has not a byte", async () => {
    await application("a.db");
    const shipping = resources.use(await startShipping(bench, sink, "*.db", { findEveryMs: 3_600_000 }));
    await application("b.db");
    const { capture, asked } = await opened();
    await capture[Symbol.asyncDispose]();
    await shipping.caughtUp();
    const before = await sink.held();
    await waitFor("the shipper goes on", async () => (await sink.held())?.at !== before?.at);
    const again = await opened();
    expect([...asked, ...again.asked]).toEqual([false, false]);
    expect(again.capture.description.base).toBe("full");
  });
});
