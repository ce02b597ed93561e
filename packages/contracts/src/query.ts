import { z } from "zod";
import { token, verdict } from "./names.ts";

/**
 * Where values are to be found in a source, after the source's name:
 * postgres and sqlite `table.column` (or `schema.table.column`); neo4j `Label.property`; qdrant `collection.id` or
 * `collection.payload.field`; files `glob#field` (a field of each matching JSON file; the glob is relative to the
 * captured paths' names).
 */
export const locator = z.string().min(1).max(400);

/** One question that a rehearsal answers beside the restored server. */
export const query = z.discriminatedUnion("type", [
  /** The kind's own checks. Rows: `{name, verdict, detail}`. */
  z.object({ type: z.literal("store"), id: token }),
  /** Rows: `{value}`, distinct, as strings, sorted by code unit. */
  z.object({ type: z.literal("values"), id: token, of: locator }),
  /** One row: `{max}`, a number, or null where there is no value. */
  z.object({ type: z.literal("max"), id: token, of: locator }),
  /** SQL or Cypher, read only. Rows: `{values: [...]}`. */
  z.object({ type: z.literal("statement"), id: token, text: z.string().min(1) }),
]);
export type Query = z.infer<typeof query>;

export const storeCheckRow = z.object({ name: z.string(), verdict, detail: z.string() });
export type StoreCheckRow = z.infer<typeof storeCheckRow>;
export const valueRow = z.object({ value: z.string() });
export const maxRow = z.object({ max: z.number().nullable() });
export const statementRow = z.object({ values: z.array(z.unknown()) });
export type QueryRow = StoreCheckRow | z.infer<typeof valueRow> | z.infer<typeof maxRow> | z.infer<typeof statementRow>;
