import { copyFile, mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ensurePostgres } from "@stillpoint/parts/postgres-part";
import { type PostgresServer, startPostgres } from "@stillpoint/parts/postgres-server";
import { runTool } from "../capture/tool-on-path.ts";

/** 300 MB; WAL comes of changes all over it, each page whole once after each checkpoint. */
const SCALE = "20";
const IS_SEGMENT = /^[0-9A-F]{24}$/;

export type FilledServer = AsyncDisposable & {
  version: string;
  server: PostgresServer;
  binDirectory: string;
  /** The full segments that it keeps; more are made where there are fewer. */
  segments: (count: number) => Promise<string[]>;
};

/** A server that pgbench fills with WAL, of which nothing goes. */
export async function startFilledServer(directory: string, partsDirectory: string): Promise<FilledServer> {
  const part = await ensurePostgres({ directory: partsDirectory });
  const settings = { wal_keep_size: "8GB", max_wal_size: "8GB", autovacuum: "off", synchronous_commit: "off" };
  const server = await startPostgres({ part, dir: join(directory, "postgres"), settings });
  const env = { PGHOST: server.host, PGPORT: String(server.port), PGUSER: server.user, PGPASSWORD: server.password };
  const program = (name: string, ...args: string[]) =>
    runTool(join(part.binDirectory, name), args, { ...env, PGDATABASE: "postgres" });
  const ask = async (text: string) => (await program("psql", "-XAtqc", text)).trim();
  await program("pgbench", "-i", "-q", "-s", SCALE);
  const full = async () => {
    const current = await ask("select pg_walfile_name(pg_current_wal_flush_lsn())");
    const names = await readdir(join(server.dataDirectory, "pg_wal"));
    return names.filter((name) => IS_SEGMENT.test(name) && name < current).sort();
  };
  return {
    version: part.version,
    server,
    binDirectory: part.binDirectory,
    async segments(count) {
      for (;;) {
        // What the filling has written is no change of pages.
        const names = (await full()).slice(-count);
        if (names.length === count) return names;
        await ask("checkpoint");
        await program("pgbench", "-n", "-N", "-c", "4", "-t", "2000");
      }
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** A data directory's `pg_wal` with segments that wait to be archived; their paths. */
export async function readyToArchive(
  { server }: FilledServer,
  names: readonly string[],
  directory: string,
): Promise<string[]> {
  const wal = join(directory, "pg_wal");
  await mkdir(join(wal, "archive_status"), { recursive: true });
  for (const name of names) {
    await copyFile(join(server.dataDirectory, "pg_wal", name), join(wal, name));
    await writeFile(join(wal, "archive_status", `${name}.ready`), "");
  }
  return names.map((name) => join(wal, name));
}
