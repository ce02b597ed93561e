import { z } from "zod";
import type { Checked } from "./check.ts";
import { rowsOf } from "./rows.ts";

/** The databases that hold users' data. */
export async function userDatabases(checked: Pick<Checked, "connect">): Promise<string[]> {
  await using connection = await checked.connect();
  const [answer] = await connection.query(
    "select datname as name from pg_database where datallowconn and not datistemplate order by 1",
  );
  return rowsOf(answer, z.object({ name: z.string() })).map(({ name }) => name);
}
