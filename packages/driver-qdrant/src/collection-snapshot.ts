import { createHash } from "node:crypto";
import { StillpointError } from "@stillpoint/contracts/errors";
import { z } from "zod";
import { ask } from "./ask.ts";
import { openRequest, sendNothing } from "./raw-request.ts";
import type { QdrantServer } from "./server.ts";

/**
 * A classic snapshot, which the server keeps as a file: it carries the log of updates, so no delete is missing from it, and
 * is fixed only when the server answers.
 */
export type CollectionSnapshot = {
  collection: string;
  /** Who made it, and has its file: of a cluster it holds that peer's shards alone. */
  peer: QdrantServer;
  name: string;
  bytes: number;
  sha256: string | undefined;
};

const created = z.object({
  result: z.object({ name: z.string(), size: z.number().int().nonnegative(), checksum: z.string().nullish() }),
});

export async function createSnapshot(
  peer: QdrantServer,
  collection: string,
  signal: AbortSignal,
): Promise<CollectionSnapshot> {
  const about = { what: "Cannot make a snapshot of a collection", where: collection, signal };
  const { result } = await ask(peer, about, created, (init) =>
    peer.api.createSnapshot({ collection_name: collection, wait: true }, init),
  );
  return { collection, peer, name: result.name, bytes: result.size, sha256: result.checksum ?? undefined };
}

/** Its file is the server's to keep until it is told otherwise. */
export async function deleteSnapshot(
  { collection, peer, name }: CollectionSnapshot,
  signal: AbortSignal,
): Promise<void> {
  const about = {
    what: "Cannot delete a snapshot that was made for the backup",
    where: `${collection}, ${name}`,
    signal,
  };
  await ask(peer, about, z.unknown(), (init) =>
    peer.api.deleteSnapshot({ collection_name: collection, snapshot_name: name, wait: true }, init),
  );
}

/** Its bytes, held against the server's own checksum where it gave one. */
export async function* downloadSnapshot(
  { collection, peer, name, sha256 }: CollectionSnapshot,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const what = "Cannot read a snapshot of a collection";
  const where = `${collection}, ${name}`;
  const path = `/collections/${encodeURIComponent(collection)}/snapshots/${encodeURIComponent(name)}`;
  const response = await openRequest(peer, { what, where, method: "GET", path, signal }, sendNothing);
  const hash = createHash("sha256");
  for await (const piece of response) {
    hash.update(piece);
    yield piece;
  }
  const found = hash.digest("hex");
  if (sha256 !== undefined && sha256 !== found) {
    const why = `the server's checksum is ${sha256}, the bytes that came have ${found}`;
    throw new StillpointError("SOURCE_LOST", { what, where, why });
  }
}
