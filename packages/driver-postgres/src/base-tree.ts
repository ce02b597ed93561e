import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { TreeWriter } from "@stillpoint/driver/tree";
import { checkTreePath } from "@stillpoint/driver/tree-path";
import { extract, type Header } from "tar-stream";
import { hintOf } from "./relation-file.ts";

/**
 * Writes the entries of one of the server's tar archives into the tree, below `prefix` (`""`, or ends in `/`). The
 * driver package's reader is for our own tars and refuses names such as `./pg_wal/archive_status`, which PostgreSQL
 * writes. An archive that is cut short needs no check here: the server's command fails then.
 */
export async function addArchive(
  tree: TreeWriter,
  archive: AsyncIterable<Buffer>,
  prefix: string,
  blockBytes: number,
): Promise<void> {
  const parser = extract();
  const fed = pipeline(Readable.from(archive, { objectMode: false }), parser);
  let refused: { error: unknown } | undefined;
  const read = async () => {
    for await (const entry of parser) {
      try {
        // The type declarations of the stream do not say what it consists of.
        await addEntry(tree, entry.header, prefix, blockBytes, entry as AsyncIterable<Buffer>);
      } catch (error) {
        refused = { error };
        throw error;
      }
      entry.resume();
    }
  };
  try {
    await Promise.all([read(), fed]);
  } catch (error) {
    // Leaving the loop destroys the parser, whose feeder then fails too, and perhaps first.
    throw refused === undefined ? error : refused.error;
  }
}

async function addEntry(
  tree: TreeWriter,
  header: Header,
  prefix: string,
  blockBytes: number,
  body: AsyncIterable<Buffer>,
): Promise<void> {
  // Links are those of pg_tblspc, and the tablespace itself is laid in their place.
  if (header.type === "symlink") return;
  const path = checkTreePath(prefix + header.name.replace(/^(?:\.\/)+/, "").replace(/\/$/, ""));
  // Owners are left out: the files belong to whoever runs the restored server.
  const metadata = { path, mode: header.mode & 0o7777, mtimeMs: header.mtime.getTime() };
  if (header.type === "directory") {
    await tree.add({ ...metadata, type: "directory" });
  } else if (header.type === "file") {
    await tree.add({ ...metadata, type: "file", size: header.size, hint: hintOf(path, blockBytes) }, body);
  } else {
    throw new TypeError(`BASE_BACKUP sent an entry of an unknown type, ${header.type}, for ${path}`);
  }
}
