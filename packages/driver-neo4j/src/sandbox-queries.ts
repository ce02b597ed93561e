import type { QueryRow } from "@stillpoint/contracts/query";
import { distinctValues } from "@stillpoint/driver/distinct-values";
import neo4j, { type Driver } from "neo4j-driver";
import { boltError, readSession } from "./bolt.ts";
import { parseLocator, quoted } from "./locator.ts";

export async function* values(driver: Driver, database: string, of: string): AsyncGenerator<QueryRow> {
  for await (const value of distinctValues(texts(driver, database, of))) yield { value };
}

/** What has no text, such as a list, is no value that another store could have. */
async function* texts(driver: Driver, database: string, of: string): AsyncGenerator<string> {
  const { label, property } = parseLocator(of);
  const value = `n.${quoted(property)}`;
  const cypher = `MATCH (n:${quoted(label)}) WHERE ${value} IS NOT NULL RETURN toStringOrNull(${value})`;
  for await (const [text] of records(driver, database, cypher)) if (typeof text === "string") yield text;
}

export async function* max(driver: Driver, database: string, of: string): AsyncGenerator<QueryRow> {
  const { label, property } = parseLocator(of);
  const value = `n.${quoted(property)}`;
  const cypher = `MATCH (n:${quoted(label)}) WHERE ${value} IS :: INTEGER | FLOAT RETURN max(${value})`;
  for await (const [found] of records(driver, database, cypher)) {
    yield { max: found === null || found === undefined ? null : Number(found) };
  }
}

export async function* statement(driver: Driver, database: string, text: string): AsyncGenerator<QueryRow> {
  for await (const row of records(driver, database, text)) yield { values: row.map(plain) };
}

/** Rows as they come, in a transaction that the server lets read only. */
async function* records(driver: Driver, database: string, cypher: string): AsyncGenerator<unknown[]> {
  const session = readSession(driver, database);
  try {
    for await (const record of session.run(cypher)) yield [...record.values()];
  } catch (error) {
    throw boltError(error, {
      what: "Cannot answer a query on the restored database",
      where: cypher.slice(0, 200),
      otherwise: "SANDBOX_FAILED",
    });
  } finally {
    await session.close();
  }
}

/** What JSON can hold: 64-bit integers beyond a number as text, dates as ISO 8601, nodes as their properties. */
function plain(value: unknown): unknown {
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (Array.isArray(value)) return value.map(plain);
  if (neo4j.isNode(value) || neo4j.isRelationship(value)) return plain(value.properties);
  if (value === null || typeof value !== "object") return value;
  if (Object.getPrototypeOf(value) !== Object.prototype) return String(value);
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each)]));
}
