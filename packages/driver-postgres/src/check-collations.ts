import { z } from "zod";
import { type Checked, type Finding, inconclusive, pass } from "./check.ts";
import { rowsOf } from "./rows.ts";

const database = z.object({ name: z.string(), recorded: z.string().nullable(), actual: z.string().nullable() });

/** Text sorts by the machine's library: under another version of it an index may be in the wrong order. */
export async function checkCollations({ connect }: Checked): Promise<Finding> {
  await using connection = await connect();
  const [answer] = await connection.query(
    `select datname as name, datcollversion as recorded, pg_database_collation_actual_version(oid) as actual
     from pg_database where datallowconn`,
  );
  const other = rowsOf(answer, database).filter(({ recorded, actual }) => recorded !== null && recorded !== actual);
  if (other.length === 0) return pass("as at the source");
  const names = other.map(({ name, recorded, actual }) => `${name}: ${recorded} at the source, ${actual} here`);
  return inconclusive(names.join(", "));
}
