import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { ensurePostgres } from "@stillpoint/parts/postgres-part";
import { startPostgres } from "@stillpoint/parts/postgres-server";
import { unprivilegedUser } from "@stillpoint/parts/server-user";
import type { StartMeasured } from "./measured-store.ts";

const run = promisify(execFile);
/** 150 MB, all of it in memory. */
const SCALE = "10";
const CLIENTS = "8";

/** TPC-B by pgbench, each commit on the disk before it is acknowledged. */
export const startMeasuredPostgres: StartMeasured = async ({ directory, partsDirectory, besideStore, log }) => {
  const part = await ensurePostgres({ directory: partsDirectory, log });
  const server = await startPostgres({
    part,
    dir: join(directory, "postgres"),
    // A checkpoint is made before each round, and none in it.
    settings: { max_wal_size: "8GB", checkpoint_timeout: "1h", shared_buffers: "512MB", autovacuum: "off" },
  });
  try {
    const env = {
      PATH: process.env.PATH,
      PGHOST: server.host,
      PGPORT: String(server.port),
      PGUSER: server.user,
      PGPASSWORD: server.password,
      PGDATABASE: "postgres",
    };
    const program = async (name: string, ...args: string[]) => {
      const [command = "", ...rest] = [...besideStore, join(part.binDirectory, name), ...args];
      return (await run(command, rest, { env })).stdout;
    };
    const user = await unprivilegedUser();
    const url = `postgres://${server.user}@${server.host}:${server.port}/postgres`;
    return {
      kind: "postgres",
      source: (ship) => ({ kind: "postgres", url, password: "${env:BENCH_POSTGRES_PASSWORD}", ship }),
      environment: {
        BENCH_POSTGRES_PASSWORD: server.password,
        STILLPOINT_POSTGRES_BIN: part.binDirectory,
        ...(user === undefined ? {} : { STILLPOINT_SERVER_USER: user.name }),
      },
      async settle() {
        // Tables that grew in the round before slow the next one: each begins with the same.
        await program("pgbench", "-i", "-q", "-s", SCALE);
        await program("psql", "-Xq", "-c", "checkpoint");
      },
      async measure(seconds) {
        const told = await program("pgbench", "-n", "-c", CLIENTS, "-j", "1", "-T", String(seconds));
        const [, rate] = /^tps = ([0-9.]+)/m.exec(told) ?? [];
        if (rate === undefined) throw new Error(`pgbench told no rate: ${told}`);
        return Number(rate);
      },
      logged: async () => Number(await program("psql", "-XAtq", "-c", "select pg_current_wal_lsn() - '0/0'")),
      peer: {
        name: "pg_receivewal",
        async start() {
          const archive = await mkdtemp(join(directory, "archive-"));
          const child = spawn(join(part.binDirectory, "pg_receivewal"), ["-D", archive], { env, stdio: "inherit" });
          await once(child, "spawn");
          return {
            async [Symbol.asyncDispose]() {
              child.kill("SIGINT");
              if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
              await rm(archive, { recursive: true });
            },
          };
        },
      },
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  } catch (error) {
    await server.stop();
    throw error;
  }
};
