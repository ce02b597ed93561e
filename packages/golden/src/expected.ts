import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, readdir, readlink } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { z } from "zod";

/** What lies at a path of a restored directory. Times only where no layout step wrote the file. */
const restoredPath = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("file"),
    mode: z.number(),
    size: z.number(),
    sha256: z.string(),
    mtimeMs: z.number().optional(),
  }),
  z.object({ type: z.literal("directory"), mode: z.number() }),
  z.object({ type: z.literal("symlink"), target: z.string() }),
]);
export type RestoredPath = z.infer<typeof restoredPath>;
const paths = z.record(z.string(), restoredPath);
export type Paths = z.infer<typeof paths>;

export const expected = z.object({
  points: z.array(
    z.object({
      pointId: z.string(),
      deleted: z.boolean(),
      sources: z.record(z.string(), z.object({ kind: z.string(), paths })),
    }),
  ),
  /** What the servers answer on what was restored. */
  answers: z.object({
    postgres: z.object({
      pointId: z.string(),
      source: z.string(),
      query: z.string(),
      rows: z.array(z.array(z.string())),
    }),
    neo4j: z.object({ pointId: z.string(), source: z.string(), query: z.string(), rows: z.array(z.array(z.string())) }),
    sqlite: z.object({
      pointId: z.string(),
      source: z.string(),
      query: z.string(),
      rows: z.array(z.array(z.string())),
    }),
  }),
  /** Extended attributes (base64), which the product's own restore leaves out. */
  xattrs: z.record(z.string(), z.record(z.string(), z.string())),
});
export type Expected = z.infer<typeof expected>;

/** Everything below a directory, by path. Permissions without what only root may give. */
export async function pathsIn(directory: string): Promise<Paths> {
  const found: Paths = {};
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const { mode, size, mtimeMs } = await lstat(path);
    const permissions = mode & 0o777;
    const name = path.slice(directory.length + 1);
    if (entry.isSymbolicLink()) found[name] = { type: "symlink", target: await readlink(path) };
    else if (entry.isDirectory()) found[name] = { type: "directory", mode: permissions };
    else found[name] = { type: "file", mode: permissions, size, sha256: await sha256Of(path), mtimeMs };
  }
  return Object.fromEntries(Object.entries(found).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** `after` a layout, with the times of what it left as it was. */
export function withoutWrittenTimes(before: Paths, after: Paths): Paths {
  return Object.fromEntries(
    Object.entries(after).map(([path, each]) => {
      if (each.type !== "file") return [path, each];
      const { mtimeMs, ...rest } = each;
      const was = before[path];
      const same = was?.type === "file" && was.sha256 === each.sha256 && was.mtimeMs === mtimeMs;
      return [path, same && mtimeMs !== undefined ? { ...rest, mtimeMs } : rest];
    }),
  );
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}
