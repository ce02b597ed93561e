import { type Checked, type Finding, fail, inconclusive, pass } from "./check.ts";
import { userDatabases } from "./databases.ts";

/** A dump to nowhere reads every row of every table and every definition. */
export async function checkDump(checked: Checked): Promise<Finding> {
  const databases = await userDatabases(checked);
  for (const database of databases) {
    // The name by the environment: as an argument, one with `=` in it would be read as settings.
    const result = await checked.run("pg_dump", ["--no-password", "--file=/dev/null"], { PGDATABASE: database });
    if (result === "missing") return inconclusive("pg_dump is not installed here");
    if (result.code !== 0) return fail(`${database}: ${result.words}`);
  }
  return pass(`every row of ${databases.join(", ")} was read`);
}
