import type { QueryRow } from "@stillpoint/contracts/query";
import neo4j, { type Driver } from "neo4j-driver";
import { boltError, readSession } from "./bolt.ts";
import { parseLocator, quoted } from "./locator.ts";

/**
 * The server sorts by code point, the answer is sorted by UTF-16 code unit. They differ only for texts with characters
 * above U+D7FF: those are few, are read by themselves, sorted here and merged.
 */
const ABOVE = "'(?s).*[\\\\x{E000}-\\\\x{10FFFF}].*'";

export async function* values(driver: Driver, database: string, of: string): AsyncGenerator<QueryRow> {
  const { label, property } = parseLocator(of);
  const all =
    `MATCH (n:${quoted(label)}) WHERE n.${quoted(property)} IS NOT NULL ` +
    `WITH DISTINCT toStringOrNull(n.${quoted(property)}) AS value`;
  const rare: string[] = [];
  for await (const [value] of records(driver, database, `${all} WHERE value =~ ${ABOVE} RETURN value`)) {
    rare.push(String(value));
  }
  rare.sort();
  let next = 0;
  const common = `${all} WHERE value IS NOT NULL AND NOT value =~ ${ABOVE} RETURN value ORDER BY value`;
  for await (const [found] of records(driver, database, common)) {
    const value = String(found);
    for (; next < rare.length && (rare[next] ?? "") < value; next += 1) yield { value: rare[next] ?? "" };
    yield { value };
  }
  for (const value of rare.slice(next)) yield { value };
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
