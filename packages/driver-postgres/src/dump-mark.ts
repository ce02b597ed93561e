import { StillpointError } from "@stillpoint/contracts/errors";
import type { Mark } from "@stillpoint/contracts/point";
import { z } from "zod";

export const ROLES_PATH = "roles.sql";
export const TABLESPACES_PATH = "tablespaces.sql";

/** What a load must know of dumps; the `detail` of the mark of a source that is captured by them. */
export const dumpDetail = z.object({
  dump: z.object({
    databases: z.array(z.object({ name: z.string(), path: z.string() })),
    /** What made them: "pg_dump 15.18". */
    program: z.string(),
    encoding: z.string(),
    locale: z.string(),
  }),
  /** That the source's url names: where locators look. */
  database: z.string(),
  /** The role that initdb made: it is in the roles too. */
  bootstrapUser: z.string(),
});
export type DumpDetail = z.infer<typeof dumpDetail>;

export function isDump(mark: Pick<Mark, "detail">): boolean {
  return "dump" in mark.detail;
}

export function parseDumpDetail(mark: Mark): DumpDetail {
  const parsed = dumpDetail.safeParse(mark.detail);
  if (parsed.success) return parsed.data;
  throw new StillpointError("FORMAT_UNKNOWN", {
    what: "Cannot read the mark of PostgreSQL dumps",
    where: mark.position,
    why: z.prettifyError(parsed.error),
  });
}

/** A name of a database may hold anything but a zero. */
export function dumpPath(database: string): string {
  return `dumps/${encodeURIComponent(database)}.dump`;
}
