import { z } from "zod";
import type { Connection } from "./connection.ts";
import type { MarkDetail } from "./mark-detail.ts";
import { rowsOf } from "./rows.ts";

/** The tablespaces beyond the two that every cluster has, with their names and where they are. */
export async function namedTablespaces(connection: Connection): Promise<MarkDetail["tablespaces"]> {
  const [answer] = await connection.query(
    `select oid::text, spcname as name, pg_tablespace_location(oid) as location from pg_tablespace
     where spcname not in ('pg_default', 'pg_global') order by pg_tablespace.oid`,
  );
  return rowsOf(answer, z.object({ oid: z.string(), name: z.string(), location: z.string() }));
}
