import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "@stillpoint/parts/free-port";
import { ensureNeo4j } from "@stillpoint/parts/neo4j-part";
import { ensurePostgres } from "@stillpoint/parts/postgres-part";
import { startServer } from "@stillpoint/parts/server-process";
import { giveTo, unprivilegedUser } from "@stillpoint/parts/server-user";
import { PARTS_DIRECTORY } from "@stillpoint/testkit/parts-directory";
import neo4j from "neo4j-driver";
import pg from "pg";

const parts = { directory: PARTS_DIRECTORY };

async function rowsOf(directory: string, query: string): Promise<string[][]> {
  const client = new pg.Client({ host: directory, user: "stillpoint", database: "postgres" });
  client.on("error", () => undefined);
  await client.connect();
  try {
    return (await client.query<string[]>({ text: query, rowMode: "array" })).rows.map((row) => row.map(String));
  } finally {
    await client.end();
  }
}

/** The store's own server, on a directory as it was restored: nothing of its configuration is replaced. */
export async function askPostgres(directory: string, query: string): Promise<string[][]> {
  const { binDirectory } = await ensurePostgres(parts);
  const user = await unprivilegedUser();
  await giveTo(user, directory);
  await using _server = await startServer({
    name: "PostgreSQL",
    command: join(binDirectory, "postgres"),
    args: ["-D", directory],
    cwd: directory,
    env: { PATH: process.env.PATH, LC_ALL: "C.UTF-8" },
    logFile: join(directory, "server.log"),
    user,
    deathSignal: "SIGQUIT",
    stop: [{ signal: "SIGINT", waitMs: 30_000 }],
    readyWithinMs: 60_000,
    isReady: () =>
      rowsOf(directory, "select 1").then(
        () => true,
        () => false,
      ),
  });
  return await rowsOf(directory, query);
}

const OPENS = ["java.base/java.nio", "java.base/java.io", "java.base/sun.nio.ch", "java.base/java.util"];

/** As it was restored, but on a free port, and without the source's users, whose passwords nobody here knows. */
export async function askNeo4j(home: string, query: string): Promise<string[][]> {
  const part = await ensureNeo4j(parts);
  const port = await freePort();
  const more = [
    `server.bolt.listen_address=127.0.0.1:${port}`,
    `server.bolt.advertised_address=127.0.0.1:${port}`,
    "server.http.enabled=false",
    "internal.dbms.bolt.netty_server_shutdown_quiet_period=0",
  ];
  const conf = join(home, "conf/neo4j.conf");
  const restored = await readFile(conf, "utf8");
  await writeFile(conf, [restored.replace("auth_enabled=true", "auth_enabled=false"), ...more, ""].join("\n"));
  const url = `bolt://127.0.0.1:${port}`;
  await using driver = neo4j.driver(url, undefined, { connectionTimeout: 2_000 });
  const ask = async (text: string) =>
    (await driver.executeQuery(text)).records.map((record) => record.map((value) => String(value)));
  await using _server = await startServer({
    name: "Neo4j",
    command: part.java,
    args: [
      ...["-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", ...part.javaArguments],
      ...OPENS.map((name) => `--add-opens=${name}=ALL-UNNAMED`),
      ...["-cp", `${part.libDirectory}/*`, "org.neo4j.server.CommunityEntryPoint"],
      ...[`--home-dir=${home}`, `--config-dir=${home}/conf`, "--console-mode"],
    ],
    cwd: home,
    env: { PATH: process.env.PATH, LC_ALL: "C.UTF-8" },
    logFile: join(home, "logs/console.log"),
    user: undefined,
    deathSignal: "SIGKILL",
    stop: [{ signal: "SIGTERM", waitMs: 60_000 }],
    readyWithinMs: 120_000,
    isReady: () =>
      ask("RETURN 1").then(
        () => true,
        () => false,
      ),
  });
  return await ask(query);
}
