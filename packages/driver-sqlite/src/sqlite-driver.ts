import { StillpointError } from "@stillpoint/contracts/errors";
import type { SqliteSource } from "@stillpoint/contracts/source";
import type { Driver } from "@stillpoint/driver/driver";
import { type CaptureLimits, openCapture } from "./capture.ts";
import { RUNTIME_ID } from "./describe.ts";
import { findDatabases } from "./find-databases.ts";
import { startHolder } from "./holder-client.ts";
import { layoutSqlite } from "./layout.ts";
import { startSandbox } from "./sandbox.ts";

const LIMITS: CaptureLimits = { walLimitBytes: 64 << 20, watchEveryMs: 500 };

export function createSqliteDriver(limits: CaptureLimits): Driver<SqliteSource> {
  return {
    kind: "sqlite",
    async open(source, context) {
      const found = await findDatabases(source.path);
      if (found.length === 0) {
        throw new StillpointError("SOURCE_UNREACHABLE", {
          what: "Cannot find an SQLite database",
          where: source.path,
          why: "no file is there",
          hint: "is the path the one that the agent sees?",
        });
      }
      await using failed = new AsyncDisposableStack();
      const holder = failed.use(await startHolder(context.signal));
      const capture = await openCapture(source, found, { holder, context, limits });
      failed.move();
      return capture;
    },
    layout: layoutSqlite,
    async runtimes() {
      // SQLite comes with Node.
      return [RUNTIME_ID];
    },
    start: startSandbox,
    addresses() {
      // A file answers at no address.
      return [];
    },
  };
}

export const sqliteDriver = createSqliteDriver(LIMITS);
