import { StillpointError } from "@stillpoint/contracts/errors";
import { z } from "zod";
import { lineBatches } from "./line-batches.ts";
import type { BodilessEntry } from "./tree.ts";
import { checkTreePath } from "./tree-path.ts";

/** Where a tar that knows nothing of us puts entries without bodies. */
export const ENTRIES_PATH = ".stillpoint/entries";

const metadata = {
  path: z.string(),
  mode: z.number().int(),
  uid: z.number().int().optional(),
  gid: z.number().int().optional(),
  mtimeMs: z.number(),
  /** Values in base64. */
  xattrs: z.record(z.string(), z.base64()).optional(),
};
const line = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("unchanged"),
    path: z.string(),
    size: z.number().int().nonnegative(),
    mtimeMs: z.number(),
    identity: z.string(),
  }),
  z.object({ ...metadata, type: z.literal("directory") }),
  z.object({ ...metadata, type: z.literal("symlink"), target: z.string() }),
]);

export function encodeBodiless(entries: readonly BodilessEntry[]): Buffer {
  const lines = entries.map((entry) => {
    checkTreePath(entry.path);
    if (entry.type === "unchanged" || entry.xattrs === undefined) return `${JSON.stringify(entry)}\n`;
    const values = Object.entries(entry.xattrs).map(([name, value]) => [name, value.toString("base64")]);
    return `${JSON.stringify({ ...entry, xattrs: Object.fromEntries(values) })}\n`;
  });
  return Buffer.from(lines.join(""), "utf8");
}

/** A batch at a time. Throws TAR_INVALID, or PATH_UNSAFE. */
export async function* decodeBodiless(body: AsyncIterable<Uint8Array>): AsyncGenerator<BodilessEntry[]> {
  for await (const lines of lineBatches(body)) yield lines.map(decodeLine);
}

function decodeLine(text: string): BodilessEntry {
  const entry = parseLine(text);
  checkTreePath(entry.path);
  if (entry.type === "unchanged") return entry;
  const { xattrs, uid, gid, ...rest } = entry;
  const values = Object.entries(xattrs ?? {}).map(([name, value]) => [name, Buffer.from(value, "base64")]);
  return {
    ...rest,
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
    ...(xattrs === undefined ? {} : { xattrs: Object.fromEntries(values) }),
  };
}

function parseLine(text: string): z.infer<typeof line> {
  try {
    return line.parse(JSON.parse(text));
  } catch (error) {
    throw new StillpointError("TAR_INVALID", {
      what: "Cannot read the entries without bodies of a tar",
      where: ENTRIES_PATH,
      why: "a line of them is none",
      cause: error,
    });
  }
}
