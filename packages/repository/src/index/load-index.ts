import { createHash } from "node:crypto";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { objectDamaged } from "../format/damage.ts";
import { decodeIndex, encodeIndex, type IndexedPack } from "../format/index-format.ts";
import { objectName } from "../format/kinds.ts";
import { type EpochKeys, openObject, sealObject } from "../format/sealed-object.ts";
import type { ChunkIndex } from "./chunk-index.ts";

const READS_AT_ONCE = 8;

/** Lists packs in a new index object. Its name is the hash of its bytes: to write it again is to write the same. */
export async function writeIndex(
  store: ObjectStore,
  packs: readonly IndexedPack[],
  keys: EpochKeys,
  random: (length: number) => Uint8Array,
  signal?: AbortSignal,
): Promise<string> {
  const bytes = sealObject("index", "", encodeIndex({ supersedes: [], packs }), keys, random);
  const name = objectName("index", createHash("sha256").update(bytes).digest("hex"));
  await store.put(name, bytes, { signal });
  return name;
}

export async function readIndex(store: ObjectStore, name: string, keys: EpochKeys, signal?: AbortSignal) {
  const bytes = await store.get(name, undefined, signal);
  if (objectName("index", createHash("sha256").update(bytes).digest("hex")) !== name)
    throw objectDamaged(name, "its bytes are not those that its name says");
  return decodeIndex(name, openObject("index", "", name, bytes, keys));
}

/** Reads the index objects that were not read yet: those of other writers come in between. */
export function indexLoader(store: ObjectStore, index: ChunkIndex, keys: EpochKeys) {
  const seen = new Set<string>();
  async function load(signal?: AbortSignal): Promise<void> {
    const fresh: string[] = [];
    for await (const { name } of store.list("index/", { signal })) if (!seen.has(name)) fresh.push(name);
    for (let at = 0; at < fresh.length; at += READS_AT_ONCE) {
      const names = fresh.slice(at, at + READS_AT_ONCE);
      const read = await Promise.all(names.map((name) => readIndex(store, name, keys, signal)));
      read.forEach(({ packs }, i) => {
        for (const pack of packs) index.add(pack);
        const name = names[i];
        if (name !== undefined) seen.add(name);
      });
    }
  }
  return { load, mark: (name: string) => seen.add(name) };
}
