import { randomFillSync } from "node:crypto";
import type { Secret } from "@stillpoint/contracts/secret";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import type { IndexedPack } from "../src/format/index-format.ts";
import type { PackEntry } from "../src/format/pack-format.ts";
import { writeIndex } from "../src/index/index-objects.ts";
import { openKeyRing } from "../src/keys/key-ring.ts";

const PACKS_PER_INDEX = 64;
/** Of 1 MiB that compress to a half, in packs of 16 MiB. */
const CHUNKS_PER_PACK = 32;
const CHUNK_BYTES = 524_288;
export const PACK_BYTES = 44 + CHUNKS_PER_PACK * (CHUNK_BYTES + 41);
const WRITES_AT_ONCE = 8;

function pack(): IndexedPack {
  const random = randomFillSync(Buffer.alloc(32 * (CHUNKS_PER_PACK + 1)));
  const entries: PackEntry[] = Array.from({ length: CHUNKS_PER_PACK }, (_, i) => ({
    name: random.subarray(32 * (i + 1), 32 * (i + 2)),
    type: 0,
    offset: 44 + i * CHUNK_BYTES,
    length: CHUNK_BYTES,
  }));
  return {
    packId: random.toString("hex", 0, 32),
    epoch: 1,
    length: PACK_BYTES,
    entries,
  };
}

/**
 * Index objects as backups write them, sealed with the repository's own keys, that list `chunks` chunks in packs that are
 * not there: enough for whatever reads the index alone. `merged` ones are as large as merging makes them.
 */
export async function fillIndex(
  store: ObjectStore,
  passphrase: Secret,
  chunks: number,
  kind: "small" | "merged",
): Promise<{ objects: number }> {
  const { ring } = await openKeyRing(store, passphrase);
  const random = (length: number) => randomFillSync(new Uint8Array(length));
  const packsEach = kind === "small" ? PACKS_PER_INDEX : 100 * PACKS_PER_INDEX;
  let left = Math.ceil(chunks / CHUNKS_PER_PACK);
  let objects = 0;
  while (left > 0) {
    const under: Promise<string>[] = [];
    for (let i = 0; i < WRITES_AT_ONCE && left > 0; i++) {
      const packs = Array.from({ length: Math.min(packsEach, left) }, pack);
      left -= packs.length;
      under.push(writeIndex(store, { supersedes: [], packs }, ring.epochs, random));
    }
    objects += (await Promise.all(under)).length;
  }
  return { objects };
}
