import { randomBytes } from "node:crypto";
import { access, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import neo4j from "neo4j-driver";
import { runToEnd } from "./command.ts";
import { freePort } from "./free-port.ts";
import type { Neo4jPart } from "./neo4j-part.ts";
import { type RunningServer, startServer } from "./server-process.ts";

export type Neo4jServer = RunningServer & {
  readonly url: string;
  readonly boltPort: number;
  readonly user: "neo4j";
  readonly password: string;
  /** NEO4J_HOME. */
  readonly home: string;
  /** What the source's `data` names. */
  readonly dataDirectory: string;
};

export type Neo4jOptions = {
  readonly part: Neo4jPart;
  /** NEO4J_HOME: configuration, data and logs. */
  readonly dir: string;
  readonly boltPort?: number;
  /** Settings as in neo4j.conf; these win over our own. */
  readonly settings?: Readonly<Record<string, string>>;
  /** The Java heap; 512 MiB when left out. */
  readonly heapMiB?: number;
};

/** Neo4j is a named module's guest: it opens the JDK's buffers and file channels by reflection. */
const OPENS = ["java.base/java.nio", "java.base/java.io", "java.base/sun.nio.ch", "java.base/java.util"].map(
  (name) => `--add-opens=${name}=ALL-UNNAMED`,
);

/** A server of tests and demonstrations lives for minutes: the thorough compiler and parallel collector cost more than they bring. */
const FRUGAL = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"];

/** Neo4j Community on loopback with authentication, ready when its database answers, not when its log says so. */
export async function startNeo4j(options: Neo4jOptions): Promise<Neo4jServer> {
  const { part, dir } = options;
  for (const name of ["conf", "data", "logs", "plugins", "import", "run"]) {
    await mkdir(join(dir, name), { recursive: true });
  }
  const boltPort = options.boltPort ?? (await freePort());
  const settings = { ...ownSettings(boltPort), ...options.settings };
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`);
  await writeFile(join(dir, "conf/neo4j.conf"), lines.join(""));
  const password = await openPassword(part, dir);
  const heap = `${options.heapMiB ?? 512}m`;
  const url = `bolt://127.0.0.1:${boltPort}`;
  const server = await startServer({
    name: "Neo4j",
    command: part.java,
    args: [
      ...[`-Xms${heap}`, `-Xmx${heap}`, ...FRUGAL, ...OPENS, ...part.javaArguments],
      ...["-cp", `${part.libDirectory}/*:${dir}/plugins/*`, "org.neo4j.server.CommunityEntryPoint"],
      ...[`--home-dir=${dir}`, `--config-dir=${dir}/conf`, "--console-mode"],
    ],
    cwd: dir,
    env: { PATH: process.env.PATH, LC_ALL: "C.UTF-8" },
    logFile: join(dir, "logs/console.log"),
    user: undefined,
    deathSignal: "SIGKILL",
    stop: [{ signal: "SIGTERM", waitMs: 60_000 }],
    readyWithinMs: 180_000,
    isReady: () => isOnline(url, password),
  });
  const facts = { url, boltPort, user: "neo4j", password, home: dir, dataDirectory: join(dir, "data") } as const;
  return Object.assign(server, facts);
}

function ownSettings(boltPort: number): Record<string, string> {
  return {
    "server.default_listen_address": "127.0.0.1",
    "server.bolt.listen_address": `127.0.0.1:${boltPort}`,
    "server.bolt.advertised_address": `127.0.0.1:${boltPort}`,
    "server.http.enabled": "false",
    "server.https.enabled": "false",
    "server.memory.pagecache.size": "128m",
    "dbms.usage_report.enabled": "false",
    // Two event loops wait five seconds each for late requests before a stop: nobody sends any here.
    "internal.dbms.bolt.netty_server_shutdown_quiet_period": "0",
    // Without these the log's live file is 256 MiB of zeros, and files go while a backup still needs them.
    "db.tx_log.preallocate": "false",
    "db.tx_log.rotation.retention_policy": "keep_all",
  };
}

/** Neo4j takes its first password before its first start only. */
async function openPassword(part: Neo4jPart, dir: string): Promise<string> {
  const file = join(dir, "password");
  const there = await readFile(file, "utf8").catch(() => undefined);
  if (there !== undefined && (await exists(join(dir, "data/dbms")))) return there.trim();
  // Hexadecimal, for a password that begins with a dash would be taken for an option.
  const password = randomBytes(16).toString("hex");
  await writeFile(file, `${password}\n`, { mode: 0o600 });
  await rm(join(dir, "data/dbms"), { recursive: true, force: true });
  // `@file` instead of the word itself: command lines are read by everybody on the machine.
  const command = ["org.neo4j.cli.AdminTool", "dbms", "set-initial-password", `@${file}`];
  await runToEnd(
    part.java,
    ["-Xmx256m", "-XX:TieredStopAtLevel=1", ...OPENS, "-cp", `${part.libDirectory}/*`, ...command],
    {
      cwd: dir,
      env: { PATH: process.env.PATH, NEO4J_HOME: dir, NEO4J_CONF: join(dir, "conf") },
    },
  );
  return password;
}

async function isOnline(url: string, password: string): Promise<boolean> {
  await using driver = neo4j.driver(url, neo4j.auth.basic("neo4j", password), { connectionTimeout: 2_000 });
  try {
    const { records } = await driver.executeQuery(
      "SHOW DATABASES YIELD name, currentStatus",
      {},
      { database: "system" },
    );
    return records.some((record) => record.get("name") === "neo4j" && record.get("currentStatus") === "online");
  } catch (error) {
    // Not listening yet, or the system database is not there yet. A wrong password will never come right.
    if (error instanceof neo4j.Neo4jError && error.code === "Neo.ClientError.Security.Unauthorized") throw error;
    return false;
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
