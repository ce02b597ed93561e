import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sqliteSource } from "@stillpoint/contracts/source";
import { driverConformance } from "@stillpoint/driver/test/conformance";
import { sqliteDriver } from "../src/sqlite-driver.ts";
import { driverContext, insert, locks, SEQUENCES, startApp } from "./app.ts";

for (const [name, pragma] of [
  ["SQLite with a write-ahead log", "PRAGMA journal_mode=WAL"],
  ["SQLite with a rollback journal", "PRAGMA journal_mode=DELETE"],
] as const) {
  driverConformance(name, async () => {
    const directory = await mkdtemp(join(tmpdir(), "sp-sqlite-"));
    const path = join(directory, "app.db");
    const app = await startApp(path, pragma, SEQUENCES);
    return {
      driver: sqliteDriver,
      source: sqliteSource.parse({ kind: "sqlite", path }),
      unreachable: sqliteSource.parse({ kind: "sqlite", path: join(directory, "none.db") }),
      context: driverContext,
      write: async (sequence) => await insert(app, sequence),
      highest: "written.sequence",
      traces: async () => await locks(app),
      async [Symbol.asyncDispose]() {
        await app[Symbol.asyncDispose]();
        await rm(directory, { recursive: true, force: true });
      },
    };
  });
}
