import { createReadStream, createWriteStream } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { TreeWriter } from "@stillpoint/driver/tree";
import type { BookedObject, HeldObject, HeldRow } from "./object-book.ts";
import { type OpenedObject, openObject } from "./read-object.ts";
import type { SourceBucket } from "./source-bucket.ts";

const MOST_TRIES = 3;
const MODE = 0o644;

/** Sends an object; one that is written over meanwhile is sent again, and the last sending counts. Undefined: it is gone. */
export async function captureObject(
  from: SourceBucket,
  row: BookedObject,
  at: HeldObject["at"],
  tree: Pick<TreeWriter, "add">,
  begun?: OpenedObject,
): Promise<HeldObject | undefined> {
  for (let attempt = 1; ; attempt += 1) {
    using opened = attempt === 1 && begun !== undefined ? begun : await openObject(from, row);
    if (opened === undefined) return undefined;
    const { path } = row;
    const { size, version, etag, modifiedMs, lastModifiedMs, headers } = opened;
    const mtimeMs = modifiedMs < 0 ? lastModifiedMs : modifiedMs;
    const entry = { type: "file", path, mode: MODE, mtimeMs, size, hint: "content", identity: etag } as const;
    const { torn } = await tree.add(entry, opened.body);
    const held: HeldObject = {
      path,
      version,
      etag,
      size,
      modifiedMs: torn ? -1 : modifiedMs,
      sha256: opened.sha256(),
      steady: !torn,
      at,
      headers: JSON.stringify(headers),
    };
    if (!torn || attempt === MOST_TRIES) return held;
  }
}

/** Small objects are read before their turn, so many at once: each costs a round trip, however little it holds. */
const AHEAD = 16;
const SMALL_BYTES = 1_048_576;

/** Each object with what was read of it ahead, in their order; one that an earlier backup has is not read. */
export async function* readAhead(
  from: SourceBucket,
  rows: Iterable<HeldRow>,
): AsyncGenerator<{ row: HeldRow; begun: OpenedObject | undefined }> {
  const queue: Promise<{ row: HeldRow; begun: OpenedObject | undefined }>[] = [];
  for (const row of rows) {
    const reading = readWhole(from, row).then((begun) => ({ row, begun }));
    reading.catch(() => undefined); // told at its turn
    queue.push(reading);
    const next = queue.length < AHEAD ? undefined : queue.shift();
    if (next !== undefined) yield await next;
  }
  for (const each of queue) yield await each;
}

async function readWhole(from: SourceBucket, row: HeldRow): Promise<OpenedObject | undefined> {
  if (row.held?.at === "earlier" || row.size > SMALL_BYTES) return undefined;
  const opened = await openObject(from, row);
  // One that was written over may have grown: it waits for its turn.
  if (opened === undefined || opened.size > SMALL_BYTES) return opened;
  const body = await Array.fromAsync(opened.body);
  return { ...opened, body: Readable.from(body) };
}

/** Files of the objects that were read inside the fence, until they are sent. The directory goes with the capture's own. */
export function objectSpool(directory: string) {
  let serial = 0;
  return {
    async keep(from: SourceBucket, row: BookedObject): Promise<HeldObject | undefined> {
      serial += 1;
      const file = join(directory, `object-${serial}`);
      const held = await captureObject(from, row, "spool", {
        async add(entry, body) {
          const out = createWriteStream(file, { mode: 0o600 });
          await pipeline(body ?? [], out);
          return { torn: entry.type === "file" && out.bytesWritten !== entry.size };
        },
      });
      return held && { ...held, file };
    },
    async send(row: BookedObject, { path, size, file }: HeldObject, tree: TreeWriter, signal: AbortSignal) {
      const body = file === undefined ? undefined : createReadStream(file, { signal });
      await tree.add({ type: "file", path, mode: MODE, mtimeMs: row.modifiedMs, size, hint: "content" }, body);
    },
  };
}
