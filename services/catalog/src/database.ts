import { StillpointError } from "@stillpoint/contracts/errors";
import { Kysely, PGliteDialect, PostgresDialect } from "kysely";
import { Pool } from "pg";
import { parseIntoClientConfig } from "pg-connection-string";
import type { CatalogConfig } from "./config.ts";
import { openEmbedded } from "./embedded.ts";
import { migrate } from "./migrations.ts";
import type { Schema } from "./schema.ts";

export type Database = Kysely<Schema>;

/** The tables, in the installation's PostgreSQL or embedded; the caller destroys it. */
export async function openDatabase(config: CatalogConfig): Promise<Database> {
  const database = new Kysely<Schema>({ dialect: await dialectOf(config) });
  try {
    await migrate(database);
    return database;
  } catch (error) {
    await database.destroy();
    throw toCatalogError(error, "Cannot open the catalog", config.STILLPOINT_CATALOG_URL);
  }
}

async function dialectOf(config: CatalogConfig): Promise<PostgresDialect | PGliteDialect> {
  const { STILLPOINT_CATALOG_URL: url, STILLPOINT_CATALOG_PASSWORD: password } = config;
  if (url === undefined) {
    const directory = config.STILLPOINT_CATALOG_DIRECTORY;
    if (directory !== undefined) return new PGliteDialect({ pglite: await openEmbedded(directory) });
    throw new StillpointError("CONFIG_INVALID", {
      what: "Cannot open the catalog",
      where: "STILLPOINT_CATALOG_URL, STILLPOINT_CATALOG_DIRECTORY",
      why: "neither is set",
      hint: "give the URL of a PostgreSQL, or a directory for an embedded one",
    });
  }
  const pool = new Pool({
    // pg itself would take the URL's missing password for an empty one, over that beside it.
    ...parseIntoClientConfig(url),
    max: 8,
    connectionTimeoutMillis: 5_000,
    application_name: "stillpoint-catalog",
    ...(password === undefined ? {} : { password: password.reveal() }),
  });
  // A connection that breaks while idle is replaced; the next query meets an outage that lasts, and reports it.
  pool.on("error", () => {});
  return new PostgresDialect({ pool });
}

/** SQLSTATE classes of trouble that passes: connection, roll-back, resources, intervention, system. */
const PASSING = ["08", "40", "53", "57", "58"];

/** An error of the database as ours: only what is known to be wrong with the statement itself is never tried again. */
export function toCatalogError(error: unknown, what: string, where?: string): StillpointError {
  if (error instanceof StillpointError) return error;
  const why = error instanceof Error ? error.message : String(error);
  const state = error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
  const isStatement = /^[0-9A-Z]{5}$/.test(state) && !PASSING.includes(state.slice(0, 2));
  if (isStatement) return new StillpointError("INTERNAL", { what, where, why: `${why} (${state})`, cause: error });
  return new StillpointError("UNREACHABLE", {
    what,
    where,
    why,
    hint: "is the catalog's PostgreSQL running, and STILLPOINT_CATALOG_URL right?",
    cause: error,
  });
}
