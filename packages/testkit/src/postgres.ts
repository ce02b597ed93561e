import { randomUUID } from "node:crypto";
import { ensurePostgres } from "@stillpoint/parts/postgres-part";
import { type PostgresServer, startPostgres } from "@stillpoint/parts/postgres-server";
import { ensurePostgresMajor, POSTGRES_MAJORS } from "@stillpoint/parts/postgres-versions";
import pg from "pg";
import { z } from "zod";
import { inOwnDirectory } from "./own-server.ts";
import { PARTS_DIRECTORY } from "./parts-directory.ts";
import { askShared } from "./shared-servers-client.ts";

export const postgresFacts = z.object({
  host: z.string(),
  port: z.number(),
  user: z.string(),
  password: z.string(),
  socketDirectory: z.string(),
  dataDirectory: z.string(),
  binDirectory: z.string(),
});

export type SharedPostgres = z.infer<typeof postgresFacts> & { url(database?: string): string };

/** The one PostgreSQL of this test run. Cluster-wide state (slots, roles, settings) is everybody's: see `ownPostgres`. */
export async function sharedPostgres(): Promise<SharedPostgres> {
  const facts = await askShared("postgres", postgresFacts);
  const { user, password, port } = facts;
  return { ...facts, url: (database = "postgres") => `postgres://${user}:${password}@127.0.0.1:${port}/${database}` };
}

/**
 * A cluster of the test's own (half a second): for slots, settings, restarts, physical copies. Of the version that is asked
 * for; else of that in STILLPOINT_TEST_POSTGRES, by which tests are run on other versions than the machine's own.
 */
export async function ownPostgres({
  major,
  ...options
}: {
  settings?: Readonly<Record<string, string | number>>;
  major?: number;
} = {}): Promise<PostgresServer & { readonly dir: string }> {
  const part = await postgresOf(major ?? process.env.STILLPOINT_TEST_POSTGRES);
  return inOwnDirectory("postgres", (dir) => startPostgres({ part, dir, ...options }));
}

async function postgresOf(version: number | string | undefined) {
  const options = { directory: PARTS_DIRECTORY };
  if (version === undefined) return await ensurePostgres(options);
  const major = POSTGRES_MAJORS.find((each) => String(each) === String(version));
  if (major === undefined) throw new TypeError(`no test server of PostgreSQL ${version} is known`);
  return await ensurePostgresMajor(major, options);
}

export type OwnDatabase = AsyncDisposable & {
  readonly server: SharedPostgres;
  readonly name: string;
  readonly url: string;
};

/** An empty database on the shared server, dropped at the end with whoever is still connected. */
export async function ownDatabase(): Promise<OwnDatabase> {
  const server = await sharedPostgres();
  const name = `test_${randomUUID().replaceAll("-", "")}`;
  await execute(server, `create database ${name}`);
  return {
    server,
    name,
    url: server.url(name),
    [Symbol.asyncDispose]: () => execute(server, `drop database ${name} with (force)`),
  };
}

async function execute(server: SharedPostgres, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: server.url() });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
