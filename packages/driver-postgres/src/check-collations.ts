import { z } from "zod";
import { type Checked, type Finding, inconclusive, pass } from "./check.ts";
import { majorOf } from "./requirements.ts";
import { rowsOf } from "./rows.ts";
import { versionNumber } from "./server-facts.ts";

const database = z.object({ name: z.string(), recorded: z.string().nullable(), actual: z.string().nullable() });

const OF_DATABASES = `
  select datname as name, datcollversion as recorded, pg_database_collation_actual_version(oid) as actual
  from pg_database where datallowconn`;
/** Before version 15 a database does not say by which version it was sorted: its library's collations do, made by initdb. */
const OF_COLLATIONS = `
  select 'collations of ' || current_database() as name, collversion as recorded, pg_collation_actual_version(oid) as actual
  from pg_collation where collversion is not null group by collversion, 3`;

/** Text sorts by the machine's library: under another version of it an index may be in the wrong order. */
export async function checkCollations({ connect }: Checked): Promise<Finding> {
  await using connection = await connect();
  const major = majorOf(await versionNumber(connection));
  const [answer] = await connection.query(major < 15 ? OF_COLLATIONS : OF_DATABASES);
  const other = rowsOf(answer, database).filter(({ recorded, actual }) => recorded !== null && recorded !== actual);
  if (other.length === 0) return pass("as at the source");
  const names = other.map(({ name, recorded, actual }) => `${name}: ${recorded} at the source, ${actual} here`);
  return inconclusive(names.join(", "));
}
