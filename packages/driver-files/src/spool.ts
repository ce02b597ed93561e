import { once } from "node:events";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { bodyBytes, type TreeEntry, type TreeWriter } from "@stillpoint/driver/tree";
import { type Captured, captureFile, type ReadPorts } from "./read-file.ts";
import type { FoundFile } from "./scan.ts";

type FileEntry = Extract<TreeEntry, { type: "file" }>;
type Kept = { entry: FileEntry; held: { bytes: Buffer } | { file: string } };

/** Small files stay in memory, up to this much in all: a file system call less for each of many. */
const SMALL_BYTES = 64 * 1024;
const MOST_IN_MEMORY_BYTES = 32 * 1024 * 1024;

/** Files that were read while the source was looked at again, kept until they are sent. */
export function openSpool(directory: string) {
  const kept = new Map<string, Kept>();
  let serial = 0;
  let inMemory = 0;

  async function drop(path: string): Promise<void> {
    const before = kept.get(path);
    kept.delete(path);
    if (before === undefined) return;
    if ("file" in before.held) await rm(before.held.file, { force: true });
    else inMemory -= before.held.bytes.length;
  }

  async function hold(size: number, body: AsyncIterable<Uint8Array>): Promise<Kept["held"] & { size: number }> {
    if (size <= SMALL_BYTES && inMemory + size <= MOST_IN_MEMORY_BYTES) {
      const bytes = Buffer.concat(await Array.fromAsync(body));
      inMemory += bytes.length;
      return { bytes, size: bytes.length };
    }
    await mkdir(directory, { recursive: true, mode: 0o700 });
    serial += 1;
    const file = join(directory, String(serial));
    return { file, size: await writeAll(file, body) };
  }

  return {
    /** Reads a file into the spool, in place of what was kept of it. Undefined: it is gone. */
    async keep(found: FoundFile, ports: ReadPorts): Promise<Captured | undefined> {
      await drop(found.path);
      const into: TreeWriter = {
        async add(entry, body) {
          if (entry.type !== "file") return { torn: false };
          await drop(entry.path);
          const size = bodyBytes(entry);
          const held = await hold(size, body ?? (async function* () {})());
          // One that shrank is sent as long as it was: the writer fills it up, and the list says unsteady.
          kept.set(entry.path, { entry, held });
          return { torn: held.size !== size };
        },
        covers: async () => undefined,
      };
      const captured = await captureFile(found, into, ports);
      // It was read, changed, and was gone when it was to be read again: what was kept of it must not come back.
      if (captured === undefined) await drop(found.path);
      return captured;
    },
    drop,
    async send(tree: TreeWriter, signal: AbortSignal): Promise<void> {
      for (const { entry, held } of kept.values()) {
        await tree.add(entry, "file" in held ? createReadStream(held.file, { signal }) : Readable.from([held.bytes]));
      }
    },
  };
}
export type Spool = ReturnType<typeof openSpool>;

/** The bytes that were written. */
export async function writeAll(path: string, body: AsyncIterable<Uint8Array>): Promise<number> {
  const out = createWriteStream(path, { mode: 0o600 });
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.byteLength;
    if (!out.write(chunk)) await once(out, "drain");
  }
  out.end();
  await once(out, "close");
  return bytes;
}
