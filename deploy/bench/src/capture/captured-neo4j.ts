import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { dumpArguments } from "@stillpoint/driver-neo4j/java-command";
import { ensureNeo4j } from "@stillpoint/parts/neo4j-part";
import { startNeo4j } from "@stillpoint/parts/neo4j-server";
import neo4j from "neo4j-driver";
import type { StartCaptured } from "./captured-store.ts";
import { runTool } from "./tool-on-path.ts";

/** About, with its property, its relationship and their share of the log. */
const NODE_BYTES = 400;
const BATCH = 10_000;
const CHANGED_PART = 100;

/** A chain of nodes. Its own tool, in Community, takes a database that is stopped: the stop is no part of its time. */
export const startCapturedNeo4j: StartCaptured = async ({ directory, partsDirectory, megabytes, log }) => {
  const part = await ensureNeo4j({ directory: partsDirectory, log });
  const dir = join(directory, "neo4j");
  let server = await startNeo4j({ part, dir });
  const { boltPort } = server;
  const nodes = Math.ceil((megabytes * 1e6) / NODE_BYTES);
  const write = async (query: string, from: number, count: number) => {
    await using driver = neo4j.driver(server.url, neo4j.auth.basic(server.user, server.password));
    await using session = driver.session();
    for (let at = from; at < from + count; at += BATCH) {
      const to = Math.min(at + BATCH, from + count) - 1;
      await session.run(query, { from: neo4j.int(at), to: neo4j.int(to) });
    }
  };
  const make = `UNWIND range($from, $to) AS at CREATE (n:Item {at: at, text: randomUUID()})
    WITH collect(n) AS made UNWIND range(0, size(made) - 2) AS i
    WITH made[i] AS one, made[i + 1] AS other CREATE (one)-[:NEXT {since: rand()}]->(other)`;
  await write(make, 0, nodes);
  let turn = 0;
  return {
    name: `Neo4j ${part.version}`,
    source: {
      kind: "neo4j",
      url: server.url,
      password: "${env:BENCH_NEO4J_PASSWORD}",
      data: server.dataDirectory,
    },
    environment: { BENCH_NEO4J_PASSWORD: server.password },
    async change() {
      turn += 1;
      await write(make, nodes * turn, Math.ceil(nodes / CHANGED_PART));
    },
    tools: [
      {
        name: "neo4j-admin database dump, server down",
        stopped: {
          begin: () => server.stop(),
          async end() {
            server = await startNeo4j({ part, dir, boltPort });
          },
        },
        async full(at) {
          const into = await mkdtemp(join(at, "dump-"));
          const java = ["-Xmx512m", "-XX:TieredStopAtLevel=1", ...dumpArguments(part.libDirectory, "neo4j", into)];
          await runTool(part.java, java, { NEO4J_HOME: dir, NEO4J_CONF: join(dir, "conf") });
        },
      },
    ],
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
};
