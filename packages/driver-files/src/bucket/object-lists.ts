import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { DriverContext } from "@stillpoint/driver/driver";
import { lineBatches } from "@stillpoint/driver/line-batches";
import type { Earlier, TreeWriter } from "@stillpoint/driver/tree";
import { z } from "zod";
import { LIST_PATH, type ListLine } from "../mark-detail.ts";
import type { HeldObject, ObjectBook } from "./object-book.ts";
import { objectHeaders } from "./read-object.ts";

/** What a bucket held at the mark, an entry of the last backup: one JSON object a line, in the order of the keys. */
export const OBJECTS_PATH = ".stillpoint/objects.ndjson";
export const objectLine = z.object({
  /** The whole key, with the source's prefix. */
  key: z.string(),
  /** Where its bytes are in the tree; a deletion's marker has none. */
  path: z.string().optional(),
  version: z.string().optional(),
  latest: z.boolean(),
  deleted: z.literal(true).optional(),
  etag: z.string(),
  size: z.number().int().nonnegative(),
  modified: z.iso.datetime(),
  headers: objectHeaders.optional(),
  sha256: z.string().optional(),
  /** The base has it as it is here, so that a later base can take it over. */
  inBase: z.literal(true).optional(),
});
export type ObjectLine = z.infer<typeof objectLine>;

function* objectLines(book: ObjectBook): Generator<string> {
  for (const { key, version, latest, deleted, etag, size, modifiedMs, path, held } of book.all()) {
    if (!deleted && held === undefined) continue;
    const line: ObjectLine = {
      key,
      ...(version === "" ? {} : { version }),
      latest,
      modified: new Date(modifiedMs).toISOString(),
      ...(held === undefined || deleted
        ? { etag, size, deleted: true }
        : {
            path,
            etag: held.etag,
            size: held.size,
            headers: objectHeaders.parse(JSON.parse(held.headers)),
            sha256: held.sha256,
            ...(held.at === "base" && held.steady ? { inBase: true } : {}),
          }),
    };
    yield `${JSON.stringify(line)}\n`;
  }
}

function* fileLines(book: ObjectBook, objects: ListLine): Generator<string> {
  yield `${JSON.stringify(objects)}\n`;
  for (const { path, held, deleted } of book.all()) {
    if (deleted || held === undefined) continue;
    const { size, sha256, steady } = held;
    yield `${JSON.stringify({ path, size, sha256, steady } satisfies ListLine)}\n`;
  }
}

/** What the base of the point before has, a batch at a time. Nothing where there is no such list. */
export async function* knownObjects(earlier: Earlier): AsyncGenerator<{ key: string; held: HeldObject }[]> {
  try {
    for await (const lines of lineBatches(earlier.read(OBJECTS_PATH))) {
      yield lines.flatMap((line) => {
        const {
          key,
          path,
          version = "",
          etag,
          size,
          modified,
          headers,
          sha256,
          inBase,
        } = objectLine.parse(JSON.parse(line));
        if (path === undefined || sha256 === undefined || inBase === undefined) return [];
        const modifiedMs = Date.parse(modified);
        const text = JSON.stringify(headers ?? {});
        return [
          { key, held: { path, version, etag, size, modifiedMs, sha256, steady: true, at: "earlier", headers: text } },
        ];
      });
    }
  } catch (error) {
    // It was a source of another form.
    if (!(error instanceof StillpointError && error.code === "NOT_FOUND")) throw error;
  }
}

/** The list of the objects, and the one that every backup of files has, by which its proof compares hashes. */
export async function addLists(tree: TreeWriter, book: ObjectBook, context: DriverContext): Promise<void> {
  const mtimeMs = context.now();
  await tree.add({ type: "directory", path: ".stillpoint", mode: 0o700, mtimeMs });
  const add = async (path: string, lines: Iterable<string>): Promise<ListLine> => {
    const file = join(context.directory, "list.ndjson");
    const hash = createHash("sha256");
    const summed = function* () {
      for (const line of lines) {
        hash.update(line);
        yield line;
      }
    };
    await pipeline(Readable.from(summed()), createWriteStream(file, { mode: 0o600 }), { signal: context.signal });
    const { size } = await stat(file);
    const body = createReadStream(file, { signal: context.signal });
    await tree.add({ type: "file", path, mode: 0o600, mtimeMs, size, hint: "content" }, body);
    return { path, size, sha256: hash.digest("hex"), steady: true };
  };
  const objects = await add(OBJECTS_PATH, objectLines(book));
  await add(LIST_PATH, fileLines(book, objects));
}
