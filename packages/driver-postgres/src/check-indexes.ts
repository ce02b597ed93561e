import { z } from "zod";
import { type Checked, type Finding, fail, inconclusive, pass, sample } from "./check.ts";
import type { Connection } from "./connection.ts";
import { userDatabases } from "./databases.ts";
import { rowOf, rowsOf } from "./rows.ts";

const index = z.object({ oid: z.string(), name: z.string(), isValid: z.boolean(), tableBytes: z.coerce.number() });

/** Up to here it is also looked up whether the index holds every row of its table, which reads the table. */
const WITH_TABLE_BYTES = 1_073_741_824;

const INDEXES = `
  select class.oid::text as oid, class.oid::regclass::text as name, indisvalid and indisready as "isValid",
    pg_relation_size(indrelid)::text as "tableBytes"
  from pg_index
    join pg_class class on class.oid = indexrelid
    join pg_am on pg_am.oid = class.relam
  where amname = 'btree' and class.relkind = 'i' and class.relpersistence <> 't'
  order by class.oid`;

/** amcheck over every B-tree index of every database, system catalogs included. */
export async function checkIndexes(checked: Checked): Promise<Finding> {
  const damaged: string[] = [];
  const invalid: string[] = [];
  let sound = 0;
  for (const database of await userDatabases(checked)) {
    await using connection = await checked.connect(database);
    const schema = await installAmcheck(connection);
    if (schema === undefined) return inconclusive("the extension amcheck is not installed here");
    const [indexes] = await connection.query(INDEXES);
    for (const each of rowsOf(indexes, index)) {
      const name = `${database}: ${each.name}`;
      const trouble = each.isValid ? await troubleOf(connection, schema, each) : undefined;
      if (!each.isValid) invalid.push(name);
      else if (trouble === undefined) sound += 1;
      else damaged.push(`${name} (${trouble})`);
    }
  }
  if (damaged.length > 0) return fail(`damaged: ${sample(damaged)}`);
  const left = invalid.length === 0 ? "" : `; invalid at the source, hence left out: ${sample(invalid)}`;
  return pass(`${sound} indexes are sound${left}`);
}

/** The schema that amcheck's functions are in, quoted; undefined where the extension is not installed. */
async function installAmcheck(connection: Connection): Promise<string | undefined> {
  const [available] = await connection.query(
    "select exists (select from pg_available_extensions where name = 'amcheck') as yes",
  );
  if (!rowOf(available, z.object({ yes: z.boolean() })).yes) return undefined;
  await connection.query("create extension if not exists amcheck schema pg_catalog");
  const [installed] = await connection.query(
    "select extnamespace::regnamespace::text as schema from pg_extension where extname = 'amcheck'",
  );
  return rowOf(installed, z.object({ schema: z.string() })).schema;
}

async function troubleOf(connection: Connection, schema: string, each: z.infer<typeof index>) {
  const withTable = each.tableBytes <= WITH_TABLE_BYTES;
  try {
    await connection.query(`select ${schema}.bt_index_check(${each.oid}, ${withTable})`);
    return undefined;
  } catch (error) {
    connection.check();
    return error instanceof Error ? error.message : String(error);
  }
}
