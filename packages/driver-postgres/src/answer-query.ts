import { StillpointError } from "@stillpoint/contracts/errors";
import type { Query, QueryRow } from "@stillpoint/contracts/query";
import { DatabaseError } from "pg";
import Cursor from "pg-cursor";
import { z } from "zod";
import type { Connection } from "./connection.ts";
import { parseLocator } from "./locator.ts";
import { statementTypes } from "./statement-values.ts";

const BATCH_ROWS = 1_000;

/** Answers on a connection of its own, row by row as they are asked for, in a transaction that cannot write. */
export async function* answerQuery(
  connection: Connection,
  query: Exclude<Query, { type: "store" }>,
): AsyncGenerator<QueryRow, void, void> {
  await connection.query("begin read only");
  try {
    yield* answer(connection, query);
  } catch (error) {
    throw toQueryError(error, query);
  }
}

async function* answer(connection: Connection, query: Exclude<Query, { type: "store" }>) {
  if (query.type === "statement") {
    for await (const values of cursorRows(connection, query.text)) yield { values };
    return;
  }
  const { relation, column, name } = parseLocator(query.of);
  if (query.type === "values") {
    // Bytes of UTF-8 sort as code points do.
    const text = `select distinct ${column}::text collate "C" as value from ${relation} where ${column} is not null order by 1`;
    for await (const [value] of cursorRows(connection, text)) yield { value: String(value) };
    return;
  }
  // As it is where it is a number, so that an index serves; text that holds numbers must not be compared as text.
  const [type] = await connection.query(
    `select typcategory = 'N' as yes from pg_attribute join pg_type on pg_type.oid = atttypid
     where attrelid = $1::regclass and attname = $2 and not attisdropped`,
    [relation, name],
  );
  const isNumber = z.object({ yes: z.boolean() }).array().parse(type?.rows)[0]?.yes ?? true;
  const operand = isNumber ? column : `${column}::text::numeric`;
  const [result] = await connection.query(`select max(${operand})::text as max from ${relation}`);
  const { max } = z.object({ max: z.string().nullable() }).parse(result?.rows[0]);
  yield { max: max === null ? null : Number(max) };
}

/**
 * The extended protocol that a cursor uses takes one statement only: none can end the read-only transaction. It is left
 * open, and goes with its connection: after an error, closing it would wait for an answer that has come already.
 */
async function* cursorRows({ client, translate }: Connection, text: string): AsyncGenerator<unknown[], void, void> {
  const cursor = client.query(new Cursor<unknown[]>(text, [], { rowMode: "array", types: statementTypes }));
  try {
    for (let rows = await cursor.read(BATCH_ROWS); rows.length > 0; rows = await cursor.read(BATCH_ROWS)) yield* rows;
  } catch (error) {
    throw translate(error);
  }
}

/** SQLSTATE classes that blame the question: its data, its syntax and names, its rights, that it writes. */
const BLAMES_QUERY = /^(21|22|23|25|42|0A)/;

function toQueryError(error: unknown, query: Query): unknown {
  const cause = error instanceof StillpointError ? error.cause : error;
  if (!(cause instanceof DatabaseError) || !BLAMES_QUERY.test(cause.code ?? "")) return error;
  return new StillpointError("INVALID_REQUEST", {
    what: `Cannot answer check ${query.id}`,
    where: query.type === "statement" ? query.text : query.type === "store" ? undefined : query.of,
    why: cause.message,
    hint: cause.hint,
    cause: error,
  });
}
