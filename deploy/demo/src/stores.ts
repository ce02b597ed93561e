import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { StillpointError } from "@stillpoint/contracts/errors";
import { installForParts } from "@stillpoint/parts/machine-packages";
import { ensureNeo4j } from "@stillpoint/parts/neo4j-part";
import { startNeo4j } from "@stillpoint/parts/neo4j-server";
import { ensurePostgres } from "@stillpoint/parts/postgres-part";
import { startPostgres } from "@stillpoint/parts/postgres-server";
import { ensureQdrant, ensureQdrantDouble, type QdrantPart } from "@stillpoint/parts/qdrant-part";
import { startQdrant } from "@stillpoint/parts/qdrant-server";
import { directoryForServers, unprivilegedUser } from "@stillpoint/parts/server-user";
import type { Connections } from "@stillpoint/sample/stores";

export type SkippedStore = { id: string; reason: string };

/** The sample's stores as they run here, and what the agents must know of them. */
export type Stores = AsyncDisposable & {
  connections: Connections;
  neo4jData: string | undefined;
  /** Passwords by variable; the plan refers to them by name. */
  secrets: Record<string, string>;
  /** Where the agents find the programs for rehearsals. */
  tools: Record<string, string>;
  skipped: SkippedStore[];
};

export const SECRETS = {
  postgres: "SAMPLE_POSTGRES_PASSWORD",
  neo4j: "SAMPLE_NEO4J_PASSWORD",
  qdrant: "SAMPLE_QDRANT_API_KEY",
  hook: "SAMPLE_HOOK_TOKEN",
} as const;

/** Starts every store that can be had, side by side. One that cannot is left out, with the reason and the remedy. */
export async function startStores(home: string, parts: string, say: (line: string) => void): Promise<Stores> {
  await using starting = new AsyncDisposableStack();
  const options = { directory: parts, log: (line: string) => say(`  ${line}`) };
  await installForParts(["tools", "pip", "postgres", "maven"], options);
  const directory = await directoryForServers(join(home, "stores"));
  const connections: Connections = {
    sqlite: { path: join(directory, "app", "sessions.db") },
    files: { directory: join(directory, "app", "files") },
  };
  await mkdir(join(directory, "app"), { recursive: true });
  const secrets: Record<string, string> = {};
  const tools: Record<string, string> = {};
  const skipped: SkippedStore[] = [];
  let neo4jData: string | undefined;

  const have = async (id: string, start: () => Promise<void>) => {
    try {
      await start();
    } catch (error) {
      if (!(error instanceof StillpointError && error.code === "STORE_NOT_INSTALLED")) throw error;
      const reason = `${error.why ?? error.what}; do: ${error.hint ?? "install it"}`;
      skipped.push({ id, reason });
      say(`! ${id} is left out: ${reason}`);
    }
  };
  await Promise.all([
    have("documents", async () => {
      const part = await ensurePostgres(options);
      const server = starting.use(
        await startPostgres({ part, dir: join(directory, "postgres"), settings: { max_wal_size: "4GB" } }),
      );
      connections.postgres = {
        url: `postgres://${server.user}@${server.host}:${server.port}/postgres`,
        password: server.password,
      };
      secrets[SECRETS.postgres] = server.password;
      tools.STILLPOINT_POSTGRES_BIN = part.binDirectory;
      const user = await unprivilegedUser();
      if (user !== undefined) tools.STILLPOINT_SERVER_USER = user.name;
    }),
    have("entities", async () => {
      const part = await ensureNeo4j(options);
      const server = starting.use(await startNeo4j({ part, dir: join(directory, "neo4j") }));
      connections.neo4j = { url: server.url, user: server.user, password: server.password };
      secrets[SECRETS.neo4j] = server.password;
      neo4jData = server.dataDirectory;
      tools.STILLPOINT_JAVA = part.java;
      tools.STILLPOINT_JAVA_OPTIONS = JSON.stringify(part.javaArguments);
      tools.STILLPOINT_NEO4J_LIB = part.libDirectory;
    }),
    have("embeddings", async () => {
      const part = await qdrantOrDouble(options, say);
      const server = starting.use(await startQdrant({ part, dir: join(directory, "qdrant") }));
      connections.qdrant = { url: server.url, apiKey: server.apiKey };
      secrets[SECRETS.qdrant] = server.apiKey;
      const variables = Object.entries(part.env).map(([name, value]) => `${name}=${value}`);
      tools.STILLPOINT_QDRANT_COMMAND = JSON.stringify(["/usr/bin/env", ...variables, ...part.command]);
      tools.STILLPOINT_QDRANT_IS_DOUBLE = String(part.isDouble);
    }),
  ]);
  const stack = starting.move();
  return { connections, neo4jData, secrets, tools, skipped, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

type Options = Parameters<typeof ensureQdrant>[0];

/** The sample holds nobody's data, so the test double may stand in for a Qdrant that cannot be had. */
async function qdrantOrDouble(options: Options, say: (line: string) => void): Promise<QdrantPart> {
  try {
    return await ensureQdrant(options);
  } catch (error) {
    if (!(error instanceof StillpointError && error.code === "STORE_NOT_INSTALLED")) throw error;
    say(
      "! no Qdrant is on PATH: the sample's embeddings are kept by the Qdrant test double, which proves nothing about a real one",
    );
    return ensureQdrantDouble(
      options,
      fileURLToPath(new URL("../../../packages/testkit/qdrant-double", import.meta.url)),
    );
  }
}
