import { randomUUID } from "node:crypto";
import { pipeline } from "node:stream/promises";
import { StillpointError } from "@stillpoint/contracts/errors";
import { z } from "zod";
import { ask, statusOf } from "./ask.ts";
import { openRequest } from "./raw-request.ts";
import type { QdrantServer } from "./server.ts";
import type { Content } from "./shard-content.ts";

/**
 * The snapshot is what counts: other replicas follow it. Never `replica`, the server's own default, by which an old replica
 * would win over what is restored.
 */
const QUERY = "wait=true&priority=snapshot";
const BOUNDARY = "stillpoint-snapshot-d5f0a9c6";
const WHAT = "Cannot load a snapshot into the server";
/** To delete a file, when what it was for has failed or was cancelled. */
const DELETE_MS = 30_000;

/** Replaces a shard's content. The server keeps no file of what was sent. */
export async function uploadShard(
  peer: QdrantServer,
  collection: string,
  shard: number,
  content: Content,
  signal: AbortSignal,
): Promise<void> {
  const path = `/collections/${encodeURIComponent(collection)}/shards/${shard}/snapshots/upload?${QUERY}`;
  await send(peer, path, content, { where: `${collection}, shard ${shard}`, file: "shard.snapshot", signal });
}

/**
 * Replaces a collection's content. The server puts the file that was sent among the collection's snapshots and leaves it
 * there, whatever becomes of it: it has a name of its own and is deleted.
 */
export async function uploadCollection(
  server: QdrantServer,
  collection: string,
  content: Content,
  signal: AbortSignal,
): Promise<void> {
  const path = `/collections/${encodeURIComponent(collection)}/snapshots/upload?${QUERY}`;
  const file = `stillpoint-${randomUUID()}.snapshot`;
  let failed: { error: unknown } | undefined;
  try {
    await send(server, path, content, { where: collection, file, signal });
  } catch (error) {
    failed = { error };
  }
  const removed = await removeUploaded(server, collection, file).then(
    () => undefined,
    (error: unknown) => ({ error }),
  );
  const first = failed ?? removed;
  if (first !== undefined) throw first.error;
}

async function removeUploaded(server: QdrantServer, collection: string, file: string): Promise<void> {
  const signal = AbortSignal.timeout(DELETE_MS);
  const about = { what: "Cannot delete a snapshot that was uploaded", where: `${collection}, ${file}`, signal };
  try {
    await ask(server, about, z.unknown(), (init) =>
      server.api.deleteSnapshot({ collection_name: collection, snapshot_name: file, wait: true }, init),
    );
  } catch (error) {
    if (statusOf(error) !== 404) throw error; // it did not get as far as being kept
  }
}

/** As the one field of a form. */
async function send(
  server: QdrantServer,
  path: string,
  { size, bytes }: Content,
  { where, file, signal }: { where: string; file: string; signal: AbortSignal },
): Promise<void> {
  const head = Buffer.from(
    `--${BOUNDARY}\r\ncontent-disposition: form-data; name="snapshot"; filename="${file}"\r\n` +
      "content-type: application/octet-stream\r\n\r\n",
  );
  const tail = Buffer.from(`\r\n--${BOUNDARY}--\r\n`);
  const headers = {
    "content-type": `multipart/form-data; boundary=${BOUNDARY}`,
    "content-length": String(head.byteLength + size + tail.byteLength),
  };
  const response = await openRequest(
    server,
    { what: WHAT, where, method: "POST", path, headers, signal },
    async (request) => {
      await pipeline(async function* () {
        yield head;
        yield* bytes();
        yield tail;
      }, request);
    },
  );
  // The whole answer, so that a server which gives up in the middle of it is noticed.
  const { result } = z.object({ result: z.unknown() }).parse(JSON.parse(await text(response)));
  if (result === true) return;
  throw new StillpointError("VERIFICATION_FAILED", {
    what: WHAT,
    where,
    why: `the server answered ${JSON.stringify(result)}`,
  });
}

async function text(response: AsyncIterable<unknown>): Promise<string> {
  let answer = "";
  for await (const piece of response) answer += String(piece);
  return answer;
}
