import { driverConformance } from "@stillpoint/driver/test/conformance";
import { sharedNeo4j } from "@stillpoint/testkit/neo4j";
import { waitFor } from "@stillpoint/testkit/wait-for";
import neo4j from "neo4j-driver";
import { vi } from "vitest";
import { neo4jDriver } from "../src/neo4j-driver.ts";
import { startCrowd, withCrowd } from "./crowd.ts";
import { contextOf, neo4jTools, specOf } from "./subject.ts";

// Two starts of a server, beside other test files that start theirs.
vi.setConfig({ testTimeout: 300_000 });

driverConformance("Neo4j, from its files", async () => {
  const resources = new AsyncDisposableStack();
  const server = resources.use(await sharedNeo4j());
  const driver = resources.use(neo4j.driver(server.url, neo4j.auth.basic(server.user, server.password)));
  const session = resources.use(driver.session());
  await session.run("CREATE CONSTRAINT FOR (w:Written) REQUIRE w.seq IS UNIQUE");
  await session.run("CREATE FULLTEXT INDEX written FOR (w:Written) ON EACH [w.text]");
  await session.run("CREATE INDEX FOR (c:Crowd) ON (c.worker, c.seq)");
  const crowd = resources.use(startCrowd(driver));
  const tools = await neo4jTools();
  const source = specOf(server);
  const connections = async () => {
    const listed = await session.run(
      "CALL dbms.listConnections() YIELD connectionId, userAgent WHERE userAgent = 'stillpoint' RETURN connectionId",
    );
    return listed.records.map((record) => String(record.get("connectionId")));
  };
  return {
    driver: withCrowd(neo4jDriver, crowd),
    source,
    unreachable: { ...source, url: "bolt://127.0.0.1:1" },
    context: (directory, signal) => contextOf(server, tools, directory, signal),
    async write(sequence) {
      await session.run(
        "CREATE (w:Written {seq: $seq, text: 'number ' + $seq}) WITH w " +
          "OPTIONAL MATCH (before:Written {seq: $seq - 1}) CALL (w, before) { WITH w, before WHERE before IS NOT NULL " +
          "CREATE (w)-[:AFTER {by: 1}]->(before) }",
        { seq: neo4j.int(sequence) },
      );
    },
    highest: "Written.seq",
    traces: async () => {
      // The server notices a closed connection a moment later; what stays open is an answer, too.
      await waitFor("no connection is open", async () => (await connections()).length === 0).catch(() => undefined);
      return await connections();
    },
    [Symbol.asyncDispose]: async () => await resources.disposeAsync(),
  };
});
