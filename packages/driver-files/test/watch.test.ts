import { appendFile, chmod, mkdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { DriverContext } from "@stillpoint/driver/driver";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { expect, it } from "vitest";
import type { WatchDirectory } from "../src/watch/directory-watches.ts";
import { watchPaths } from "../src/watch/watch-paths.ts";

type By = "event" | "rescan" | "start";
const NEVER_MS = 3_600_000;

/** A watched directory `data`, and what its watcher said. */
async function watched(rescanMs: number, open?: WatchDirectory) {
  const { path: home, ...directory } = await temporaryDirectory("watch");
  const data = join(home, "data");
  await mkdir(join(data, "sub"), { recursive: true });
  await writeFile(join(data, "a"), "a");
  const ending = new AbortController();
  const said: By[] = [];
  const logged: string[] = [];
  let told = Promise.withResolvers<void>();
  const context: DriverContext = {
    directory: home,
    signal: ending.signal,
    secret: () => {
      throw new Error("files have no secrets");
    },
    monotonicMs: () => performance.now(),
    now: Date.now,
    log: (message) => void logged.push(message),
    tools: {},
  };
  const changed = (by: By) => {
    said.push(by);
    told.resolve();
    told = Promise.withResolvers();
  };
  const source = { paths: [data], exclude: ["**/*.tmp"] };
  const watching = watchPaths(source, { rescanMs, changed }, context, open);
  watching.catch(() => undefined); // awaited at the end
  await expect.poll(() => said).toContain("start");
  return {
    at: (name: string) => join(data, name),
    said,
    logged,
    /** What is said next after this was done. */
    async after(work: () => Promise<unknown>): Promise<By | undefined> {
      const next = told.promise;
      await work();
      await next;
      return said.at(-1);
    },
    [Symbol.asyncDispose]: async () => {
      ending.abort(new Error("the test is over"));
      await expect(watching).rejects.toThrow("the test is over");
      await directory[Symbol.asyncDispose]();
    },
  };
}

it("hears of every kind of change as it happens, also in directories that came since", async () => {
  await using test = await watched(NEVER_MS);
  const { at, after } = test;
  expect(test.said).toEqual(["start"]);
  const changes = [
    () => appendFile(at("a"), "more"),
    () => chmod(at("a"), 0o600),
    () => writeFile(at("sub/new"), "new"),
    () => rename(at("a"), at("b")),
    () => symlink("b", at("link")),
    () => mkdir(at("sub/deep/deeper"), { recursive: true }),
    () => writeFile(at("sub/deep/deeper/file"), "x"),
    () => rename(at("sub"), at("moved")),
    () => appendFile(at("moved/deep/deeper/file"), "y"),
    () => rm(at("moved"), { recursive: true }),
  ];
  for (const change of changes) expect(await after(change)).toBe("event");
});

it("says nothing of what the plan leaves out", async () => {
  await using test = await watched(NEVER_MS);
  // Each comes whole, and is one happening.
  const come = async (name: string) => {
    await writeFile(test.at(`../${name}`), "x");
    await rename(test.at(`../${name}`), test.at(name));
  };
  await come("x.tmp");
  expect(await test.after(() => come("b"))).toBe("event");
  const before = test.said.length;
  await come("y.tmp");
  await test.after(() => come("c"));
  expect(test.said.length).toBe(before + 1);
});

it("where the system gives no watches, or tells of nothing, a rescan finds the change, and it is said why", async () => {
  let given = 0;
  await using test = await watched(50, () => {
    given += 1;
    // One that is never heard of again, and then no more.
    if (given === 1) return { close: () => undefined };
    throw Object.assign(new Error("no space left on device, watch"), { code: "ENOSPC" });
  });
  expect(await test.after(() => appendFile(test.at("a"), "more"))).toBe("rescan");
  expect(await test.after(() => rm(test.at("sub"), { recursive: true }))).toBe("rescan");
  expect(test.said).not.toContain("event");
  expect(test.logged).toEqual(["not every directory can be watched"]);
});
