import type { QueryResult } from "pg";
import type { z } from "zod";

/** A query's rows, as what they are meant to be. */
export function rowsOf<Row>(result: QueryResult | undefined, row: z.ZodType<Row>): Row[] {
  return row.array().parse(result?.rows);
}

export function rowOf<Row>(result: QueryResult | undefined, row: z.ZodType<Row>): Row {
  return row.parse(result?.rows[0]);
}
