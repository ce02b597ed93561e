import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import { directoryTree } from "@stillpoint/driver/directory-tree";
import { addDatabaseFile, type CapturedDatabase, checkCopy } from "./captured-database.ts";
import type { DatabaseInput } from "./wal-database.ts";

/**
 * The same database without some tables. A log cannot be laid over a file that was made anew, for its pages are others; so
 * there is no base of it: at the finish the database of the mark is put together here, the tables are taken out, and it goes
 * as one whole file.
 */
export function withoutTables<Database extends CapturedDatabase>(
  database: Database,
  { found, pageSize, holder, context, index, tables }: DatabaseInput & { tables: readonly string[] },
): Database {
  return {
    ...database,
    async addCopy() {},
    async finish(tree) {
      const directory = join(context.directory, `${index}.whole`);
      await mkdir(directory, { mode: 0o700 });
      const whole = directoryTree(directory, { keepOwners: false });
      await database.finish(whole, true);
      const path = join(directory, found.name);
      await chmod(path, 0o600);
      const { problem } = await holder.ask("leaveOut", { path, tables: [...tables] });
      if (problem !== undefined) throw cannotLeaveOut(found.path, problem);
      await checkCopy(holder, found, path);
      await addDatabaseFile(tree, { found, path, pageSize });
      return { frames: 0 };
    },
    async countCopy() {
      const counts = await database.countCopy();
      return counts === undefined ? undefined : withoutCounts(counts, tables);
    },
  };
}

function cannotLeaveOut(where: string, why: string): StillpointError {
  return new StillpointError("SOURCE_UNSUPPORTED", {
    what: "Cannot leave tables out of an SQLite database",
    where,
    why,
    hint: "in the plan, exclude names tables that DROP TABLE takes, in a database that VACUUM can make anew",
  });
}

/** Rows by table, without those of some tables. */
export function withoutCounts(counts: Record<string, number>, tables: readonly string[]): Record<string, number> {
  const left = new Set(tables.map((name) => name.toLowerCase()));
  return Object.fromEntries(Object.entries(counts).filter(([name]) => !left.has(name.toLowerCase())));
}
