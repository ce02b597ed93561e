import { join } from "node:path";
import { ownDatabase } from "@stillpoint/testkit/postgres";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { sql } from "kysely";
import { catalogConfig } from "../src/config.ts";
import { type Database, openDatabase } from "../src/database.ts";

export const KINDS = ["embedded", "postgres"] as const;
export type DatabaseKind = (typeof KINDS)[number];

/** Settings of an empty catalog of the kind. */
export async function emptyPlace(kind: DatabaseKind, resources: AsyncDisposableStack): Promise<Record<string, string>> {
  if (kind === "embedded") {
    const directory = resources.use(await temporaryDirectory("catalog")).path;
    return { STILLPOINT_CATALOG_DIRECTORY: join(directory, "data") };
  }
  const { url } = resources.use(await ownDatabase());
  const parsed = new URL(url);
  const password = parsed.password;
  parsed.password = "";
  return { STILLPOINT_CATALOG_URL: parsed.href, STILLPOINT_CATALOG_PASSWORD: password };
}

export async function emptyDatabase(kind: DatabaseKind, resources: AsyncDisposableStack): Promise<Database> {
  const database = await openDatabase(catalogConfig.parse(await emptyPlace(kind, resources)));
  resources.defer(() => database.destroy());
  return database;
}

/** What can be rebuilt; then what cannot. */
const FROM_REPOSITORY = [
  "points",
  "point_sources",
  "point_backups",
  "point_skipped",
  "backups",
  "proofs",
  "proof_checks",
];

/** Every row of every table as text, without the generation, which counts rebuilds. */
export async function dump(
  database: Database,
  tables = [...FROM_REPOSITORY, "runs"],
): Promise<Record<string, string[]>> {
  const rows: Record<string, string[]> = {};
  for (const table of tables) {
    const found = await sql<{ row: string }>`
      select (to_jsonb(t) - 'generation')::text as row from ${sql.table(table)} t order by 1`.execute(database);
    rows[table] = found.rows.map(({ row }) => row);
  }
  return rows;
}

export function dumpOfRepository(database: Database): Promise<Record<string, string[]>> {
  return dump(database, FROM_REPOSITORY);
}

export async function empty(database: Database): Promise<void> {
  await sql`truncate points, point_sources, point_backups, point_skipped, backups, proofs, proof_checks, runs`.execute(
    database,
  );
}
