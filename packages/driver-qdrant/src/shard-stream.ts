import { once } from "node:events";
import { StillpointError } from "@stillpoint/contracts/errors";
import { failure } from "./ask.ts";
import { byteReader } from "./byte-reader.ts";
import { nextEntry } from "./inner-tar.ts";
import { openRequest, sendNothing } from "./raw-request.ts";
import type { QdrantServer } from "./server.ts";

/** A shard's snapshot whose content is fixed and whose bytes are still to be read. Holds no more than one piece. */
export type ShardStream = {
  readonly collection: string;
  readonly shard: number;
  /** From the first byte, once. Throws SOURCE_LOST when the connection breaks. */
  bytes(): AsyncIterator<Uint8Array>;
  /** Lets go of the shard: until then the server begins no other stream or snapshot of it. */
  close(): Promise<void>;
};

/** What may come before the first segment: a manifest or two. */
const BEFORE_SEGMENTS_LIMIT = 8 << 20;

/**
 * Asks for a shard and returns when its content is fixed, which is when an entry under `segments/` has arrived. The
 * response's headers come before and prove nothing; a manifest may come before too.
 */
export async function openShardStream(
  server: QdrantServer,
  collection: string,
  shard: number,
  signal: AbortSignal,
): Promise<ShardStream> {
  const what = "Cannot read a shard";
  const where = `${collection}, shard ${shard}`;
  const response = await openRequest(
    server,
    {
      what,
      where,
      method: "GET",
      path: `/collections/${encodeURIComponent(collection)}/shards/${shard}/snapshot`,
      signal,
    },
    sendNothing,
  );
  const socket = response.socket;
  const close = async () => {
    response.destroy();
    if (!socket.destroyed) socket.destroy();
    if (!socket.closed) await once(socket, "close");
  };
  const source = translated(response[Symbol.asyncIterator](), where, signal);
  const seen: Uint8Array[] = [];
  try {
    await untilSegments(recorded(source, seen), where);
  } catch (error) {
    await close();
    throw error;
  }
  return { collection, shard, close, bytes: () => replayed(seen, source) };
}

async function untilSegments(source: AsyncIterator<Uint8Array>, where: string): Promise<void> {
  const reader = byteReader(source);
  for (let passed = 0; passed < BEFORE_SEGMENTS_LIMIT; ) {
    const entry = await nextEntry(reader);
    if (entry.name.startsWith("segments/")) return;
    if (entry.name === "" || (await reader.take(entry.bodyBytes)) === undefined) break;
    passed += entry.header.byteLength + entry.bodyBytes;
  }
  throw new StillpointError("SOURCE_LOST", {
    what: "The stream of a shard is not whole",
    where,
    why: "no segment is in it",
    hint: "the server failed while it sent the shard; its own log says why",
  });
}

async function* recorded(source: AsyncIterator<Uint8Array>, seen: Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (let next = await source.next(); next.done !== true; next = await source.next()) {
    seen.push(next.value);
    yield next.value;
  }
}

async function* replayed(seen: Uint8Array[], source: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  for (let piece = seen.shift(); piece !== undefined; piece = seen.shift()) yield piece;
  for (let next = await source.next(); next.done !== true; next = await source.next()) yield next.value;
}

/** A broken connection as what it is here: the set is lost, and may be taken again. */
function translated(source: AsyncIterator<Uint8Array>, where: string, signal: AbortSignal): AsyncIterator<Uint8Array> {
  return {
    async next() {
      try {
        return await source.next();
      } catch (error) {
        signal.throwIfAborted();
        const { why } = failure(error, "", where);
        throw new StillpointError("SOURCE_LOST", { what: "The stream of a shard broke off", where, why, cause: error });
      }
    },
  };
}
