import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { Secret } from "@stillpoint/contracts/secret";
import { listenOnLoopback } from "@stillpoint/driver/forwarder";
import type { IsolatedProcess, Isolation } from "@stillpoint/driver/isolation";
import { lastWords } from "@stillpoint/driver/last-words";
import type { Driver } from "neo4j-driver";
import { z } from "zod";
import { connectBolt, readRows } from "./bolt.ts";
import { firstUserLine } from "./credentials.ts";
import { isMissing } from "./file-error.ts";
import { type JavaSize, javaOptions, pageCacheMiB, serverArguments } from "./java-command.ts";
import { rootCause } from "./recovery-report.ts";
import { confText, sandboxSettings } from "./server-conf.ts";

/** Everything that a throw-away server needs, on a disk of its own. */
export type ServerHome = {
  isolation: Isolation;
  java: string;
  javaOptions: readonly string[];
  lib: string;
  isEnterprise: boolean;
  /** For configuration, logs and reports. */
  directory: string;
  /** The server's data directory. */
  dataDirectory: string;
  database: string;
  boltPort: number;
  size: JavaSize;
  password: Secret;
  signal: AbortSignal;
};

/** Disposal ends it at once: nobody needs its data any more. */
export interface RunningServer extends AsyncDisposable {
  readonly driver: Driver;
  /** Stops it as one stops a server: with a last checkpoint. */
  stop(): Promise<void>;
}

const USER = "neo4j";
/** Recovery may take long, but it tells of each tenth. */
const SILENT_FOR_MS = 600_000;
const STOPS_WITHIN_MS = 120_000;
const LISTENS = "Bolt enabled on ";
const databaseRow = z.object({ currentStatus: z.string(), statusMessage: z.string().nullable() });

export function debugLogOf(home: ServerHome): string {
  return join(home.directory, "logs/debug.log");
}

export function confOf(home: ServerHome): string {
  return join(home.directory, "conf");
}

/** Writes the sandbox's own configuration, and makes its one user. The system database must not be there. */
export async function prepareHome(home: ServerHome, salt: Uint8Array): Promise<void> {
  for (const name of ["conf", "logs", "run", "plugins", "import"]) {
    await mkdir(join(home.directory, name), { recursive: true, mode: 0o700 });
  }
  const { dataDirectory } = home;
  const settings = sandboxSettings({ ...home, pageCacheMiB: pageCacheMiB(home.size) });
  await writeFile(join(confOf(home), "neo4j.conf"), confText(settings), { mode: 0o600 });
  await mkdir(join(dataDirectory, "dbms"), { recursive: true, mode: 0o700 });
  const line = firstUserLine(USER, home.password.reveal(), salt);
  await writeFile(join(dataDirectory, "dbms/auth.ini"), line, { mode: 0o600 });
}

/** Resolves when the database is online, which is later than the server's word "Started". */
export async function startServer(home: ServerHome): Promise<RunningServer> {
  const { isolation, directory, lib, isEnterprise } = home;
  const output = join(directory, "server.log");
  await writeFile(output, "", { mode: 0o600 });
  const options = [...javaOptions(home.size), ...home.javaOptions];
  const child = await isolation.spawn(
    home.java,
    [...options, ...serverArguments(lib, directory, confOf(home), isEnterprise)],
    {
      output,
    },
  );
  await using started = new AsyncDisposableStack();
  started.defer(async () => await end(child, "SIGKILL"));
  await untilListening(home, child, output);
  const socket = await isolation.forward(home.boltPort);
  const loopback = started.use(await listenOnLoopback(socket));
  const driver = connectBolt({ url: `bolt://127.0.0.1:${loopback.port}`, user: USER, password: home.password });
  started.defer(async () => await driver.close());
  await untilOnline(home, driver);
  const owned = started.move();
  return {
    driver,
    async stop() {
      await driver.close();
      await end(child, "SIGTERM");
      await owned.disposeAsync();
    },
    async [Symbol.asyncDispose]() {
      await owned.disposeAsync();
    },
  };
}

/** The server listens when its databases were recovered, or could not be. */
async function untilListening(home: ServerHome, child: IsolatedProcess, output: string): Promise<void> {
  let ended = false;
  const exited = child.exited.finally(() => {
    ended = true;
  });
  exited.catch(() => undefined); // seen by `ended`
  let heard = { size: -1, at: performance.now() };
  for (;;) {
    if ((await readFile(output, "utf8")).includes(LISTENS)) return;
    if (ended) throw await failed("the server ended while it started", output);
    const size = (await sizeOf(debugLogOf(home))) + (await sizeOf(output));
    if (size !== heard.size) heard = { size, at: performance.now() };
    else if (performance.now() - heard.at > SILENT_FOR_MS) throw await failed("the server fell silent", output);
    await delay(25, undefined, { signal: home.signal });
  }
}

async function untilOnline(home: ServerHome, driver: Driver): Promise<void> {
  for (;;) {
    const { rows } = await readRows(
      driver,
      "system",
      "SHOW DATABASES YIELD name, currentStatus, statusMessage WHERE name = $database RETURN currentStatus, statusMessage",
      { database: home.database },
    );
    const { currentStatus, statusMessage } = databaseRow.parse(
      rows[0] ?? { currentStatus: "absent", statusMessage: "" },
    );
    if (currentStatus === "online") return;
    if (statusMessage !== null && statusMessage !== "") {
      throw await failed(`database ${home.database} is ${currentStatus}: ${statusMessage}`, debugLogOf(home));
    }
    await delay(25, undefined, { signal: home.signal });
  }
}

async function end(child: IsolatedProcess, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
  await child.kill(signal);
  const patience = new AbortController();
  const late = delay(STOPS_WITHIN_MS, "late" as const, { signal: patience.signal }).catch(() => "stopped" as const);
  if ((await Promise.race([child.exited, late])) === "late") await child.kill("SIGKILL");
  patience.abort();
  await child.exited;
}

async function failed(why: string, log: string): Promise<StillpointError> {
  const words = await lastWords(log, 64 * 1024);
  const reason = rootCause(words) ?? words.slice(-2048);
  return new StillpointError("SANDBOX_FAILED", {
    what: "Cannot start Neo4j on the restored data",
    where: log,
    why: reason === "" ? why : `${why}: ${reason}`,
  });
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (isMissing(error)) return 0;
    throw error;
  }
}
