import type { Runtime } from "@stillpoint/contracts/point";
import type { Description } from "@stillpoint/driver/driver";
import type { CapturedDatabase } from "./captured-database.ts";

export const RUNTIME_ID = "sqlite3";

export function sqliteRuntime(): Runtime {
  return { id: RUNTIME_ID, version: process.versions.sqlite ?? "", arch: process.arch, extensions: [], settings: {} };
}

export function describeSqlite(
  databases: readonly CapturedDatabase[],
  { exclude, rests }: { exclude: readonly string[]; rests: boolean },
): Description {
  const journals = databases.filter((each) => each.mode === "rollback").map((each) => each.found.name);
  return {
    version: `SQLite ${process.versions.sqlite}`,
    runtime: sqliteRuntime(),
    sizeBytes: databases.reduce((sum, { found }) => sum + found.size, 0),
    hasLog: journals.length === 0,
    ...(exclude.length === 0 && !rests ? { base: "full" } : {}),
    finish: exclude.length === 0 ? "log" : "full",
    notes: [
      ...(exclude.length === 0
        ? []
        : [`left out: ${exclude.join(", ")}; each point has the databases anew, as whole files`]),
      ...journals.map(
        (name) =>
          `${name} uses a rollback journal: what changed is copied inside the fence, as far as the budget goes (PRAGMA journal_mode=WAL needs no copy)`,
      ),
    ],
  };
}
