import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import { freePort } from "./free-port.ts";
import { openCluster, SETTINGS_FILE, SUPERUSER } from "./postgres-cluster.ts";
import type { PostgresPart } from "./postgres-part.ts";
import { type RunningServer, startServer } from "./server-process.ts";
import { canReach, giveTo, type ServerUser, unprivilegedUser } from "./server-user.ts";

export type PostgresServer = RunningServer & {
  readonly host: "127.0.0.1";
  readonly port: number;
  readonly user: string;
  /** Needed over TCP; on the socket everybody of this machine who reaches it is trusted. */
  readonly password: string;
  readonly socketDirectory: string;
  readonly dataDirectory: string;
  readonly binDirectory: string;
  /** The address of a database with user and password in it: for programs, never for a command line. */
  url(database?: string): string;
};

export type PostgresOptions = {
  readonly part: PostgresPart;
  /** The cluster's directory. While we are root, the account `postgres` must be able to walk to it. */
  readonly dir: string;
  readonly port?: number;
  /** Settings as in postgresql.conf. They lie in the data directory, so a copy of it carries them. */
  readonly settings?: Readonly<Record<string, string | number>>;
};

/** A socket's path has at most 107 bytes, of which the server needs `/.s.PGSQL.12345`. */
const SOCKET_DIRECTORY_LIMIT = 90;

/** A PostgreSQL cluster on loopback and on a socket of its own: made the first time, opened again after. */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const { part, dir } = options;
  const user = await unprivilegedUser();
  await mkdir(dir, { recursive: true });
  await refuseUnreachable(user, dir);
  const { dataDirectory, password } = await openCluster(part, dir, user);
  const port = options.port ?? (await freePort());
  const socketDirectory = await makeSocketDirectory(dir, user);
  const settings = { ...ownSettings(port, socketDirectory), ...options.settings };
  await writeFile(join(dataDirectory, SETTINGS_FILE), settingsText(settings));
  await giveTo(user, dataDirectory);
  const server = await startServer({
    name: "PostgreSQL",
    command: join(part.binDirectory, "postgres"),
    args: ["-D", dataDirectory],
    cwd: dataDirectory,
    env: { PATH: process.env.PATH, LC_ALL: "C.UTF-8" },
    logFile: join(dir, "postgres.log"),
    user,
    // An immediate shutdown, in which the postmaster takes its children and its shared memory with it.
    deathSignal: "SIGQUIT",
    stop: [
      { signal: "SIGINT", waitMs: 30_000 },
      { signal: "SIGQUIT", waitMs: 5_000 },
    ],
    readyWithinMs: 60_000,
    isReady: (pid) => saysReady(dataDirectory, pid),
  });
  const facts = { host: "127.0.0.1", port, user: SUPERUSER, password, socketDirectory, dataDirectory } as const;
  return Object.assign(server, facts, {
    binDirectory: part.binDirectory,
    url: (database = "postgres") => `postgres://${SUPERUSER}:${password}@127.0.0.1:${port}/${database}`,
  });
}

function ownSettings(port: number, socketDirectory: string): Record<string, string | number> {
  return {
    listen_addresses: "127.0.0.1",
    port,
    unix_socket_directories: socketDirectory,
    wal_level: "replica",
    max_wal_senders: 10,
    max_replication_slots: 10,
  };
}

export function settingsText(settings: Readonly<Record<string, string | number>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name} = '${String(value).replaceAll("'", "''")}'\n`)
    .join("");
}

/** The postmaster's own word: the eighth line of postmaster.pid, the first being whose word it is. */
async function saysReady(dataDirectory: string, pid: number): Promise<boolean> {
  const text = await readFile(join(dataDirectory, "postmaster.pid"), "utf8").catch(() => "");
  const lines = text.split("\n");
  return lines[0] === String(pid) && lines[7]?.trim() === "ready";
}

async function makeSocketDirectory(dir: string, user: ServerUser | undefined): Promise<string> {
  const beside = join(dir, "socket");
  if (Buffer.byteLength(beside) > SOCKET_DIRECTORY_LIMIT) {
    const short = await mkdtemp(join(tmpdir(), "stillpoint-pg-"));
    await giveTo(user, short);
    return short;
  }
  await rm(beside, { recursive: true, force: true });
  await giveTo(user, beside);
  return beside;
}

async function refuseUnreachable(user: ServerUser | undefined, dir: string): Promise<void> {
  if (user === undefined || (await canReach(user, dir))) return;
  throw new StillpointError("CONFIG_INVALID", {
    what: "PostgreSQL cannot run in this directory",
    where: dir,
    why: `it runs as the user ${user.name}, who may not walk there`,
    hint: "choose a directory below /var/tmp or /srv, or open the directories above it with chmod o+x",
  });
}
