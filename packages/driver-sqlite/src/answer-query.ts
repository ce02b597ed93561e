import type { DatabaseSync, SQLOutputValue } from "node:sqlite";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { Query, QueryRow } from "@stillpoint/contracts/query";
import { distinctValues } from "@stillpoint/driver/distinct-values";
import { quoted } from "./count-rows.ts";
import { parseLocator } from "./locator.ts";
import type { RestoredDatabase } from "./restored-database.ts";
import { storeChecks } from "./store-checks.ts";

/**
 * Answers a query over all databases of a source: a locator means the table in every one that has it, and a statement
 * runs in every one that has what it names, so that a source of many equal files answers as one.
 */
export async function* answerQuery(restored: readonly RestoredDatabase[], query: Query): AsyncGenerator<QueryRow> {
  switch (query.type) {
    case "store":
      yield* storeChecks(restored);
      return;
    case "values":
      for await (const value of distinctValues(columnValues(restored, query.of))) yield { value };
      return;
    case "max": {
      const numbers = [...maxima(restored, query.of)].map(Number).filter(Number.isFinite);
      yield { max: numbers.length === 0 ? null : Math.max(...numbers) };
      return;
    }
    case "statement":
      yield* statementRows(restored, query.text);
  }
}

function* columnValues(restored: readonly RestoredDatabase[], of: string): Generator<string> {
  const { table, column, databases } = locate(restored, of);
  for (const database of databases) {
    const statement = database.prepare(
      `SELECT DISTINCT ${quoted(column)} AS value FROM ${quoted(table)} WHERE ${quoted(column)} IS NOT NULL`,
    );
    statement.setReadBigInts(true);
    for (const { value = null } of statement.iterate()) yield asText(value);
  }
}

function* maxima(restored: readonly RestoredDatabase[], of: string): Generator<string> {
  const { table, column, databases } = locate(restored, of);
  for (const database of databases) {
    const statement = database.prepare(`SELECT max(${quoted(column)}) AS value FROM ${quoted(table)}`);
    statement.setReadBigInts(true);
    const value = statement.get()?.value;
    if (value !== null && value !== undefined) yield asText(value);
  }
}

function locate(restored: readonly RestoredDatabase[], of: string) {
  const { table, column } = parseLocator(of);
  const databases = restored
    .map(({ database }) => database)
    .filter((database) => database.prepare("SELECT 1 FROM pragma_table_xinfo(?) WHERE name = ?").get(table, column));
  if (databases.length > 0) return { table, column, databases };
  throw new StillpointError("NOT_FOUND", {
    what: "Cannot answer a check",
    where: of,
    why: "no restored database has that column",
  });
}

function* statementRows(restored: readonly RestoredDatabase[], text: string): Generator<QueryRow> {
  let failure: unknown;
  let answered = 0;
  for (const { database } of restored) {
    let statement: ReturnType<DatabaseSync["prepare"]>;
    try {
      statement = database.prepare(text);
    } catch (error) {
      failure = error;
      continue;
    }
    answered += 1;
    statement.setReadBigInts(true);
    statement.setReturnArrays(true);
    for (const row of statement.iterate()) yield { values: Object.values(row).map(asJson) };
  }
  if (answered > 0) return;
  throw new StillpointError("INVALID_REQUEST", {
    what: "Cannot run a check's statement",
    where: text,
    why: failure instanceof Error ? failure.message : String(failure),
    cause: failure,
  });
}

function asText(value: SQLOutputValue): string {
  return value instanceof Uint8Array ? Buffer.from(value).toString("hex") : String(value);
}

/** Numbers as numbers where none of their digits is lost by it. */
function asJson(value: SQLOutputValue): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  if (typeof value !== "bigint") return value;
  return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
}
