import { randomUUID } from "node:crypto";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Mark } from "@stillpoint/contracts/point";
import type { StoreCheckRow } from "@stillpoint/contracts/query";
import { type SqliteSource, sqliteSource } from "@stillpoint/contracts/source";
import type { Capture, Driver, DriverContext, Sandbox } from "@stillpoint/driver/driver";
import { extractTar } from "@stillpoint/driver/extract";
import { applyLayout, treeFiles } from "@stillpoint/driver/layout";
import { createTarWriter } from "@stillpoint/driver/tar-writer";
import type { TreeWriter } from "@stillpoint/driver/tree";
import { sqliteRuntime } from "../src/describe.ts";
import { sqliteDriver } from "../src/sqlite-driver.ts";
import { type App, driverContext, startApp } from "./app.ts";

const never = new AbortController().signal;

/** A directory with databases, captures of it, and restores; all of it gone at the end. */
export async function startBench() {
  const resources = new AsyncDisposableStack();
  const root = await mkdtemp(join(tmpdir(), "sp-sqlite-"));
  resources.defer(async () => await rm(root, { recursive: true, force: true }));
  let directories = 0;
  const fresh = async () => {
    directories += 1;
    const path = join(root, `directory-${directories}`);
    await mkdir(path);
    return path;
  };
  const data = await fresh();
  return {
    data,
    at: (name: string) => join(data, name),
    async app(name: string, ...first: string[]): Promise<App> {
      return resources.use(await startApp(join(data, name), ...first));
    },
    source: (pattern: string): SqliteSource => sqliteSource.parse({ kind: "sqlite", path: join(data, pattern) }),
    async open(of: string | SqliteSource, driver: Driver<SqliteSource> = sqliteDriver, log?: DriverContext["log"]) {
      const source = typeof of === "string" ? sqliteSource.parse({ kind: "sqlite", path: join(data, of) }) : of;
      return resources.use(await driver.open(source, driverContext(await fresh(), never, log)));
    },
    fresh,
    async start(directory: string, mark: Mark): Promise<Sandbox> {
      await applyLayout(directory, sqliteDriver.layout(await treeFiles(directory), mark));
      const input = { directory, mark, runtime: sqliteRuntime() };
      return resources.use(await sqliteDriver.start(input, driverContext(await fresh(), never)));
    },
    [Symbol.asyncDispose]: async () => await resources.disposeAsync(),
  };
}
export type Bench = Awaited<ReturnType<typeof startBench>>;

export async function extracted(directory: string, make: (tree: TreeWriter) => Promise<void>): Promise<void> {
  const tar = createTarWriter();
  const made = make(tar).then(
    () => tar.end(),
    (error: unknown) => {
      tar.fail(error);
      throw error;
    },
  );
  const [making, taking] = await Promise.allSettled([made, extractTar(tar.stream, directory)]);
  for (const each of [making, taking]) if (each.status === "rejected") throw each.reason;
}

export async function marked(capture: Capture): Promise<Mark> {
  await capture.settle();
  return await capture.mark({ cutId: randomUUID(), budgetMs: 60_000, fenced: true });
}

export async function checks(sandbox: Sandbox): Promise<StoreCheckRow[]> {
  return (await Array.fromAsync(sandbox.query({ type: "store", id: "store" }))) as StoreCheckRow[];
}

export const verdicts = (rows: readonly StoreCheckRow[]) => new Set(rows.map((row) => row.verdict));

/** A tree that nobody reads; the paths that were added. */
export function listing(): TreeWriter & { added: string[] } {
  const added: string[] = [];
  return {
    added,
    async add({ path }) {
      added.push(path);
      return { torn: false };
    },
    covers: async () => undefined,
  };
}
