import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { ensurePostgres } from "@stillpoint/parts/postgres-part";
import { type PostgresServer, startPostgres } from "@stillpoint/parts/postgres-server";
import { unprivilegedUser } from "@stillpoint/parts/server-user";
import type { NativeTool, StartCaptured } from "./captured-store.ts";
import { findPgBackRest } from "./pgbackrest.ts";
import { runTool } from "./tool-on-path.ts";

/** What pgbench fills for one unit of scale. */
const SCALE_MEGABYTES = 15.6;
/** Of each change, for each unit of scale: some hundredth of the pages. */
const TRANSACTIONS = 100;

/** A cluster that pgbench filled and changes. */
export const startCapturedPostgres: StartCaptured = async ({ directory, partsDirectory, megabytes, log }) => {
  const part = await ensurePostgres({ directory: partsDirectory, log });
  const server = await startPostgres({
    part,
    dir: join(directory, "postgres"),
    // pgBackRest takes no backup of a cluster that archives nothing; what it is given goes nowhere.
    settings: { max_wal_size: "4GB", autovacuum: "off", archive_mode: "on", archive_command: "/bin/true" },
  });
  try {
    const env = {
      PGHOST: server.host,
      PGPORT: String(server.port),
      PGUSER: server.user,
      PGPASSWORD: server.password,
      PGDATABASE: "postgres",
    };
    const program = (name: string, ...args: string[]) => runTool(join(part.binDirectory, name), args, env);
    const scale = Math.max(1, Math.round(megabytes / SCALE_MEGABYTES));
    await program("pgbench", "-i", "-q", "-s", String(scale));
    const user = await unprivilegedUser();
    return {
      name: `PostgreSQL ${part.version}`,
      source: {
        kind: "postgres",
        url: `postgres://${server.user}@${server.host}:${server.port}/postgres`,
        password: "${env:BENCH_POSTGRES_PASSWORD}",
      },
      environment: {
        BENCH_POSTGRES_PASSWORD: server.password,
        STILLPOINT_POSTGRES_BIN: part.binDirectory,
        ...(user === undefined ? {} : { STILLPOINT_SERVER_USER: user.name }),
      },
      async change() {
        await program("pgbench", "-n", "-c", "2", "-t", String((TRANSACTIONS * scale) / 2));
      },
      tools: [
        {
          name: `pg_basebackup ${part.version}`,
          async full(at) {
            const into = await mkdtemp(join(at, "base-"));
            await program("pg_basebackup", "-D", into, "-c", "fast", "-X", "stream");
          },
        },
        ...(await pgBackRest(server)),
      ],
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  } catch (error) {
    await server.stop();
    throw error;
  }
};

/** It copies pages of a running cluster; the log that makes them whole is not in what is measured. */
async function pgBackRest(server: PostgresServer): Promise<NativeTool[]> {
  const found = await findPgBackRest(server);
  if (found === undefined) return [];
  const { name, call } = found;
  return [
    {
      name,
      async full(at) {
        await call(at, "stanza-create", "--no-online");
        await call(at, "backup", "--type=full");
      },
      again: (at) => call(at, "backup", "--type=incr"),
    },
  ];
}
