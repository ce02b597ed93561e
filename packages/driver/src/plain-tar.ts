import { createReadStream, type Stats } from "node:fs";
import { lstat, readdir, readlink } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { type Pack, pack as tarPack } from "tar-stream";
import type { TarHeader } from "./tar-entry.ts";

/** What a ustar field holds; beyond it the value stands in a pax key. */
const MAX_ID = 0o777777;
const MAX_SIZE = 0o77777777777;
const TYPE = 0o170000;
const PIECE_BYTES = 256 * 1024;

/**
 * What lies in a directory as a pax tar that holds no key of ours: any tar reads it. In the order of names, so that the
 * same directory gives the same bytes. A file with several links is written once; the others are links to it.
 */
export async function* plainTar(directory: string): AsyncGenerator<Uint8Array> {
  const pack = tarPack();
  const filling = fill(pack, directory).catch((error: unknown) => {
    pack.destroy(error instanceof Error ? error : new Error(String(error)));
  });
  try {
    yield* pack as AsyncIterable<Buffer>; // a pack gives buffers and nothing else
  } finally {
    pack.destroy();
    await filling;
  }
}

async function fill(pack: Pack, directory: string): Promise<void> {
  const linked = new Map<string, string>();
  const walk = async (below: string): Promise<void> => {
    const names = await readdir(join(directory, below));
    for (const name of names.sort()) {
      const path = below === "" ? name : `${below}/${name}`;
      const at = join(directory, path);
      const stats = await lstat(at);
      const common = headerOf(path, stats);
      if (stats.isDirectory()) {
        await whole(pack, { ...common, name: `${path}/`, type: "directory" });
        await walk(path);
      } else if (stats.isSymbolicLink()) {
        await whole(pack, { ...common, type: "symlink", linkname: await readlink(at) });
      } else if (stats.isFile()) {
        const identity = `${stats.dev}:${stats.ino}`;
        const first = stats.nlink > 1 ? linked.get(identity) : undefined;
        linked.set(identity, first ?? path);
        if (first !== undefined) await whole(pack, { ...common, type: "link", linkname: first });
        else await body(pack, { ...common, type: "file", size: stats.size }, at);
      }
    }
  };
  await walk("");
  pack.finalize();
}

function headerOf(name: string, { mode, uid, gid, mtime, mtimeMs, size }: Stats): Omit<TarHeader, "type"> {
  const pax: Record<string, string> = { mtime: (mtimeMs / 1000).toFixed(9) };
  if (uid > MAX_ID) pax.uid = String(uid);
  if (gid > MAX_ID) pax.gid = String(gid);
  if (size > MAX_SIZE) pax.size = String(size);
  // tar-stream takes a mode of 0 for none given; with the bits of the file type it is one.
  return { name, mode: (mode & 0o7777) | (mode & TYPE), uid, gid, mtime, size: 0, pax };
}

function whole(pack: Pack, header: TarHeader): Promise<void> {
  return new Promise((resolve, reject) => {
    pack.entry(header, (error) => (error ? reject(error) : resolve()));
  });
}

async function body(pack: Pack, header: TarHeader, path: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const entry = pack.entry(header, (error) => (error ? reject(error) : resolve()));
  // An empty file's entry is closed by its header.
  if (header.size === 0) entry.end(null);
  else await pipeline(createReadStream(path, { highWaterMark: PIECE_BYTES }), entry);
  await promise;
}
