import { Readable } from "node:stream";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { TreeWriter } from "@stillpoint/driver/tree";
import { z } from "zod";
import { markDetail } from "./mark-detail.ts";

/** Where a base says of itself what a recovery of it must know, so that it needs no point to be restored from. */
export const BASE_PATH = "stillpoint/base.json";

export const baseFacts = markDetail
  .pick({ timeline: true, start: true, segmentBytes: true, database: true, bootstrapUser: true })
  .extend({
    end: markDetail.shape.lsn,
    settings: markDetail.shape.settings,
    preload: markDetail.shape.preload,
    tablespaces: markDetail.shape.tablespaces,
  });
export type BaseFacts = z.infer<typeof baseFacts>;

export async function addBaseFacts(tree: TreeWriter, facts: BaseFacts, mtimeMs: number): Promise<void> {
  const body = Buffer.from(`${JSON.stringify(baseFacts.encode(facts), undefined, 2)}\n`);
  const metadata = { path: BASE_PATH, mode: 0o600, mtimeMs, size: body.length } as const;
  await tree.add({ type: "file", hint: "content", ...metadata }, Readable.from([body]));
}

/** Reads the content of a base's file. */
export function parseBaseFacts(content: string): BaseFacts {
  const parsed = z
    .string()
    .transform((text, context): unknown => {
      try {
        return JSON.parse(text);
      } catch (error) {
        context.addIssue(error instanceof Error ? error.message : String(error));
        return z.NEVER;
      }
    })
    .pipe(baseFacts)
    .safeParse(content);
  if (parsed.success) return parsed.data;
  throw new StillpointError("FORMAT_UNKNOWN", {
    what: "Cannot read what a PostgreSQL base says of itself",
    where: BASE_PATH,
    why: z.prettifyError(parsed.error),
  });
}
