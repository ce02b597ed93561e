import { createReadStream, createWriteStream } from "node:fs";
import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { TreeWriter } from "@stillpoint/driver/tree";
import { z } from "zod";
import { baseParts } from "./base-parts.ts";
import { addArchive } from "./base-tree.ts";
import type { Connection } from "./connection.ts";
import { copyStream } from "./copy-stream.ts";
import { type Lsn, parseLsn } from "./lsn.ts";
import { oldBaseParts } from "./old-base-parts.ts";

export type Base = {
  timeline: number;
  /** Replay begins here. */
  start: Lsn;
  /** Not before here is the copy one with itself. */
  end: Lsn;
  /** Object ids of the further tablespaces in it. */
  tablespaces: string[];
};

/**
 * WAL comes from our slot. TABLESPACE_MAP and links are left out, since a restore lays every tablespace inside the data
 * directory. WAIT would wait for an archive of the source's that may be broken.
 */
const COMMAND =
  "BASE_BACKUP (LABEL 'stillpoint', CHECKPOINT 'fast', WAL false, WAIT false, TABLESPACE_MAP false, MANIFEST 'yes')";
/** The same before version 15. */
const OLD_COMMAND = "BASE_BACKUP LABEL 'stillpoint' FAST NOWAIT MANIFEST 'yes'";

const position = z.tuple([z.string().transform(parseLsn), z.coerce.number().int().positive()]);
const tablespace = z.tuple([z.string().nullable(), z.string().nullable(), z.string().nullable()]);

export async function takeBase(
  connection: Connection,
  tree: TreeWriter,
  { directory, blockBytes, major }: { directory: string; blockBytes: number; major: number },
): Promise<Base> {
  const isOld = major < 15;
  const stream = copyStream(connection, isOld ? OLD_COMMAND : COMMAND, { several: isOld });
  const parts = isOld ? oldBaseParts(stream.messages(), () => stream.rows) : baseParts(stream.messages());
  for await (const part of parts) {
    if (part.name === "manifest") await addManifest(tree, part.bytes, join(directory, "backup_manifest"));
    else if (part.name === "base.tar") await addArchive(tree, part.bytes, "", blockBytes);
    else await addTablespace(tree, part.bytes, part.name.replace(/\.tar$/, ""), blockBytes);
  }
  const [start, timeline] = position.parse(stream.rows[0]);
  const [end] = position.parse(stream.rows.at(-1));
  const tablespaces = stream.rows.slice(1, -1).map((row) => tablespace.parse(row)[0]);
  return { timeline, start, end, tablespaces: tablespaces.filter((oid) => oid !== null) };
}

async function addTablespace(tree: TreeWriter, archive: AsyncIterable<Buffer>, oid: string, blockBytes: number) {
  await tree.add({ type: "directory", path: `pg_tblspc/${oid}`, mode: 0o700, mtimeMs: 0 });
  await addArchive(tree, archive, `pg_tblspc/${oid}/`, blockBytes);
}

/** An entry begins with its size, which the server does not say: the manifest, a line per file, goes by way of the disk. */
async function addManifest(tree: TreeWriter, bytes: AsyncIterable<Buffer>, spool: string): Promise<void> {
  try {
    await pipeline(bytes, createWriteStream(spool, { mode: 0o600 }));
    const { size, mtimeMs } = await stat(spool);
    const entry = { type: "file", path: "backup_manifest", mode: 0o600, mtimeMs, size, hint: "content" } as const;
    await tree.add(entry, createReadStream(spool));
  } finally {
    await rm(spool, { force: true });
  }
}
