import { driverConformance } from "@stillpoint/driver/test/conformance";
import { sharedNeo4j } from "@stillpoint/testkit/neo4j";
import { waitFor } from "@stillpoint/testkit/wait-for";
import neo4j from "neo4j-driver";
import { neo4jDriver } from "../src/neo4j-driver.ts";
import { contextOf, neo4jTools, specOf } from "./subject.ts";

driverConformance("Neo4j, from its files", async () => {
  const resources = new AsyncDisposableStack();
  const server = resources.use(await sharedNeo4j());
  const driver = resources.use(neo4j.driver(server.url, neo4j.auth.basic(server.user, server.password)));
  const session = resources.use(driver.session());
  await session.run("CREATE CONSTRAINT FOR (w:Written) REQUIRE w.seq IS UNIQUE");
  await session.run("CREATE FULLTEXT INDEX written FOR (w:Written) ON EACH [w.text]");
  const tools = await neo4jTools();
  const source = specOf(server);
  const openTransactions = async () => {
    const shown = await session.run("SHOW TRANSACTIONS YIELD transactionId, currentQuery, username");
    return shown.records
      .map((record) => String(record.get("currentQuery")))
      .filter((query) => !query.startsWith("SHOW"));
  };
  return {
    driver: neo4jDriver,
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
      // The server ends what a closed connection had open a moment later.
      await waitFor("no transaction is open", async () => (await openTransactions()).length === 0).catch(
        () => undefined,
      );
      return await openTransactions();
    },
    [Symbol.asyncDispose]: async () => await resources.disposeAsync(),
  };
});
