import neo4j, { type Driver } from "neo4j-driver";
import { z } from "zod";
import { askShared, lockShared } from "./shared-servers-client.ts";

export const neo4jFacts = z.object({
  url: z.string(),
  boltPort: z.number(),
  user: z.literal("neo4j"),
  password: z.string(),
  home: z.string(),
  dataDirectory: z.string(),
});

export type SharedNeo4j = AsyncDisposable & z.infer<typeof neo4jFacts>;

/**
 * The one Neo4j of this test run, empty, and for the caller alone until disposed: Community has one database, and a
 * start is dear. Other files wait meanwhile, so take it late and give it back early.
 */
export async function sharedNeo4j(): Promise<SharedNeo4j> {
  const facts = await askShared("neo4j", neo4jFacts);
  const lock = await lockShared("neo4j");
  try {
    await using driver = neo4j.driver(facts.url, neo4j.auth.basic(facts.user, facts.password));
    await empty(driver);
  } catch (error) {
    await lock[Symbol.asyncDispose]();
    throw error;
  }
  return { ...facts, [Symbol.asyncDispose]: () => lock[Symbol.asyncDispose]() };
}

async function empty(driver: Driver): Promise<void> {
  await using session = driver.session();
  const names = async (query: string) => (await session.run(query)).records.map((record) => String(record.get("name")));
  const quoted = (name: string) => `\`${name.replaceAll("`", "``")}\``;
  for (const name of await names("SHOW CONSTRAINTS YIELD name")) await session.run(`DROP CONSTRAINT ${quoted(name)}`);
  for (const name of await names("SHOW INDEXES YIELD name, type WHERE type <> 'LOOKUP' RETURN name")) {
    await session.run(`DROP INDEX ${quoted(name)}`);
  }
  await session.run("MATCH (n) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 10000 ROWS");
}
