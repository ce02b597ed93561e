import { z } from "zod";
import type { Connection } from "./connection.ts";
import { rowOf, rowsOf } from "./rows.ts";

/** Settings that must be the source's, or at least as large, where its data is opened or its WAL replayed. */
export const CARRIED_SETTINGS = [
  "max_connections",
  "max_worker_processes",
  "max_wal_senders",
  "max_prepared_transactions",
  "max_locks_per_transaction",
  // Replication origins of subscriptions live in as many places as there may be slots: too few end recovery.
  "max_replication_slots",
  "max_active_replication_origins",
] as const;

const SHOWN_SETTINGS = [
  "block_size",
  "wal_block_size",
  "segment_size",
  "wal_segment_size",
  "wal_level",
  "data_checksums",
  "server_version",
  "server_encoding",
  "shared_preload_libraries",
];

const facts = z.object({
  version: z.string(),
  user: z.string(),
  /** Of the role that initdb made, whatever it is called now. */
  bootstrapUser: z.string(),
  inRecovery: z.boolean(),
  mayReplicate: z.boolean(),
  mayMark: z.boolean(),
  /** Null: the server has no role for that (before version 14). */
  mayReadAll: z.boolean().nullable(),
  collation: z.string(),
  libcVersion: z.string().nullable(),
  icuVersion: z.string().nullable(),
});

export type ServerFacts = z.infer<typeof facts> & {
  /** In the units that pg_settings gives; a setting that this role may not see is missing. */
  settings: Record<string, string>;
  databases: { name: string; mayConnect: boolean }[];
};

const FACTS = `
  select version() as version,
    current_user as "user",
    (select rolname from pg_roles where oid = 10) as "bootstrapUser",
    pg_is_in_recovery() as "inRecovery",
    role.rolreplication or role.rolsuper as "mayReplicate",
    has_function_privilege('pg_create_restore_point(text)', 'execute') as "mayMark",
    (select pg_has_role(oid, 'usage') from pg_roles where rolname = 'pg_read_all_data') as "mayReadAll",
    database.datcollate as collation,
    (select max(pg_collation_actual_version(oid)) from pg_collation where collprovider = 'c') as "libcVersion",
    (select max(pg_collation_actual_version(oid)) from pg_collation where collprovider = 'i') as "icuVersion"
  from pg_roles role, pg_database database
  where role.rolname = current_user and database.datname = current_database()`;

export async function versionNumber(connection: Connection): Promise<number> {
  const [answer] = await connection.query("show server_version_num");
  return rowOf(answer, z.object({ server_version_num: z.coerce.number().int() })).server_version_num;
}

export async function serverFacts(connection: Connection): Promise<ServerFacts> {
  const [one] = await connection.query(FACTS);
  const [settings] = await connection.query("select name, setting from pg_settings where name = any($1)", [
    [...CARRIED_SETTINGS, ...SHOWN_SETTINGS],
  ]);
  const [databases] = await connection.query(
    `select datname as name, has_database_privilege(datname, 'connect') as "mayConnect"
     from pg_database where datallowconn and not datistemplate order by datname`,
  );
  return {
    ...rowOf(one, facts),
    settings: Object.fromEntries(
      rowsOf(settings, z.object({ name: z.string(), setting: z.string() })).map(({ name, setting }) => [name, setting]),
    ),
    databases: rowsOf(databases, z.object({ name: z.string(), mayConnect: z.boolean() })),
  };
}

/** Bytes of the databases that this role may connect to: what others hold it may not be told. */
export async function readSize(connection: Connection): Promise<number> {
  const [answer] = await connection.query(
    `select coalesce(sum(pg_database_size(oid)), 0)::text as size from pg_database where has_database_privilege(oid, 'connect')`,
  );
  return rowOf(answer, z.object({ size: z.coerce.number().int() })).size;
}

const databaseFacts = z.object({ extensions: z.array(z.string()), unlogged: z.array(z.string()) });
export type DatabaseFacts = z.infer<typeof databaseFacts>;

export async function readDatabase(connection: Connection): Promise<DatabaseFacts> {
  const [answer] = await connection.query(`
    select
      array(select extname || ' ' || extversion from pg_extension order by 1)::text[] as extensions,
      array(
        select namespace.nspname || '.' || class.relname
        from pg_class class join pg_namespace namespace on namespace.oid = class.relnamespace
        where class.relpersistence = 'u' and class.relkind = 'r' order by 1
      )::text[] as unlogged`);
  return rowOf(answer, databaseFacts);
}
