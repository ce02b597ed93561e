import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { PostgresServer } from "@stillpoint/parts/postgres-server";
import { runTool, versionOf } from "./tool-on-path.ts";

export type PgBackRest = {
  name: string;
  /** `at`: where its repository is and all else that it writes. */
  call: (at: string, ...args: string[]) => Promise<void>;
};

/** Where it is on PATH, for one server. */
export async function findPgBackRest(server: PostgresServer): Promise<PgBackRest | undefined> {
  const version = await versionOf("pgbackrest", "version");
  if (version === undefined) return undefined;
  const call = async (at: string, ...args: string[]) => {
    const inside = { lock: join(at, "lock"), log: join(at, "log"), repo: join(at, "repo") };
    await Promise.all(Object.values(inside).map((path) => mkdir(path, { recursive: true })));
    // Without a file of its own it would read the machine's.
    const config = join(at, "pgbackrest.conf");
    await writeFile(config, "");
    await runTool("pgbackrest", args, {
      PGBACKREST_STANZA: "bench",
      PGBACKREST_CONFIG: config,
      PGBACKREST_REPO1_PATH: inside.repo,
      PGBACKREST_LOCK_PATH: inside.lock,
      PGBACKREST_LOG_PATH: inside.log,
      PGBACKREST_LOG_LEVEL_FILE: "off",
      PGBACKREST_PG1_PATH: server.dataDirectory,
      PGBACKREST_PG1_PORT: String(server.port),
      PGBACKREST_PG1_SOCKET_PATH: server.socketDirectory,
      PGBACKREST_PG1_USER: server.user,
      PGBACKREST_ARCHIVE_CHECK: "n",
      PGBACKREST_START_FAST: "y",
      PGBACKREST_COMPRESS_TYPE: "zst",
    });
  };
  return { name: `pgBackRest ${version}`, call };
}
