import { Secret } from "@stillpoint/contracts/secret";
import { type Neo4jSource, neo4jSource } from "@stillpoint/contracts/source";
import type { DriverContext, Tools } from "@stillpoint/driver/driver";
import { ensureNeo4j } from "@stillpoint/parts/neo4j-part";
import type { SharedNeo4j } from "@stillpoint/testkit/neo4j";
import { PARTS_DIRECTORY } from "@stillpoint/testkit/parts-directory";

/** The source's spec for the tests' server; `files: false` for one whose data directory is out of reach. */
export function specOf(server: SharedNeo4j, files = true): Neo4jSource {
  return neo4jSource.parse({
    kind: "neo4j",
    url: server.url,
    user: server.user,
    password: "${env:NEO4J_PASSWORD}",
    ...(files ? { data: server.dataDirectory } : {}),
  });
}

export async function neo4jTools(): Promise<Tools> {
  const part = await ensureNeo4j({ directory: PARTS_DIRECTORY });
  return { java: part.java, neo4jLib: part.libDirectory, javaOptions: [...part.javaArguments] };
}

export function contextOf(
  server: Pick<SharedNeo4j, "password">,
  tools: Tools,
  directory: string,
  signal: AbortSignal = new AbortController().signal,
): DriverContext {
  return {
    directory,
    signal,
    secret: () => new Secret(server.password),
    monotonicMs: () => performance.now(),
    now: () => Date.now(),
    log: () => undefined,
    tools,
  };
}
