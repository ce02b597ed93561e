import { type Kysely, sql } from "kysely";
import { type Migration, Migrator } from "kysely/migration";
import type { Schema } from "./schema.ts";

/** Ids are compared by code unit, as the repository orders them, whatever the database's locale. */
const FIRST = [
  `create table points (
     point_id text collate "C" primary key,
     run_id text not null,
     plan text not null,
     revision text not null,
     partial boolean not null,
     consistency text not null,
     mode text not null,
     cut_at timestamptz(3) not null,
     window_ms double precision not null,
     skew_ms double precision not null,
     fenced_ms double precision,
     bytes bigint not null,
     stored_bytes bigint not null,
     started_at timestamptz(3) not null,
     sealed_at timestamptz(3) not null,
     document jsonb not null,
     generation integer not null
   )`,
  "create index points_of_plan on points (plan, point_id)",
  `create table point_sources (
     point_id text collate "C" not null references points on delete cascade,
     source text not null,
     kind text not null,
     site text not null,
     position text not null,
     bytes bigint not null,
     stored_bytes bigint not null,
     ms double precision not null,
     primary key (point_id, source)
   )`,
  `create table point_backups (
     point_id text collate "C" not null references points on delete cascade,
     source text not null,
     ordinal integer not null,
     backup_id text collate "C" not null,
     primary key (point_id, source, ordinal)
   )`,
  "create index point_backups_by_backup on point_backups (backup_id)",
  `create table point_skipped (
     point_id text collate "C" not null references points on delete cascade,
     source text not null,
     reason text not null,
     primary key (point_id, source)
   )`,
  `create table backups (
     backup_id text collate "C" primary key,
     plan text not null,
     source text not null,
     kind text not null,
     type text not null,
     run_id text not null,
     bytes bigint not null,
     stored_bytes bigint not null,
     files bigint not null,
     checksum text not null,
     started_at timestamptz(3) not null,
     finished_at timestamptz(3) not null,
     document jsonb not null,
     generation integer not null
   )`,
  "create index backups_of_source on backups (plan, source, backup_id)",
  `create table proofs (
     proof_id text collate "C" primary key,
     point_id text collate "C" not null,
     plan text not null,
     verdict text not null,
     rto_ms double precision not null,
     ms double precision not null,
     started_at timestamptz(3) not null,
     finished_at timestamptz(3) not null,
     document jsonb not null,
     generation integer not null
   )`,
  "create index proofs_of_point on proofs (point_id)",
  `create table proof_checks (
     proof_id text collate "C" not null references proofs on delete cascade,
     ordinal integer not null,
     name text not null,
     verdict text not null,
     detail text not null,
     primary key (proof_id, ordinal)
   )`,
  `create table runs (
     run_id text collate "C" primary key,
     plan text not null,
     point_id text not null,
     state text not null,
     partial boolean not null,
     error jsonb,
     started_at timestamptz(3),
     finished_at timestamptz(3)
   )`,
  "create index runs_of_plan on runs (plan, run_id)",
  `create table projection (
     singleton boolean primary key default true check (singleton),
     generation integer not null,
     is_complete boolean not null
   )`,
  "insert into projection (generation, is_complete) values (1, false)",
  `create view backup_history as
   select
     row_number() over (order by started_at, backup_id) as id,
     backup_id,
     backup_type,
     started_at as timestamp,
     size_bytes,
     checksum,
     status,
     error_message,
     finished_at as created_at
   from (
     select
       b.backup_id,
       b.type as backup_type,
       b.started_at,
       b.finished_at,
       b.bytes as size_bytes,
       b.checksum,
       case
         when exists (select from point_backups p where p.backup_id = b.backup_id) then 'completed'
         when r.state = 'failed' then 'failed'
         else 'stored'
       end as status,
       case
         when not exists (select from point_backups p where p.backup_id = b.backup_id) and r.state = 'failed'
         then concat_ws(': ', r.error ->> 'what', r.error ->> 'why')
       end as error_message
     from backups b left join runs r on r.run_id = b.run_id
     union all
     select
       r.run_id,
       null,
       coalesce(r.started_at, r.finished_at),
       r.finished_at,
       null,
       null,
       'failed',
       concat_ws(': ', r.error ->> 'what', r.error ->> 'why')
     from runs r
     where r.state = 'failed' and not exists (select from backups b where b.run_id = r.run_id)
   ) history`,
];

function migration(statements: readonly string[]): Migration {
  return {
    async up(database) {
      for (const statement of statements) await sql.raw(statement).execute(database);
    },
  };
}

/** Brings the tables to this version's shape. A step that was released is never changed, only followed. */
export async function migrate(database: Kysely<Schema>): Promise<void> {
  const steps: Record<string, Migration> = { "0001_first": migration(FIRST) };
  const migrator = new Migrator({ db: database, provider: { getMigrations: async () => steps } });
  const { error } = await migrator.migrateToLatest();
  if (error !== undefined) throw error;
}
