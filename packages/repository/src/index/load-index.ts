import { createHash } from "node:crypto";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { objectDamaged } from "../format/damage.ts";
import { decodeIndex, encodeIndex, type IndexedPack } from "../format/index-format.ts";
import { objectName } from "../format/kinds.ts";
import { type EpochKeys, openObject, sealObject } from "../format/sealed-object.ts";
import { readVerified } from "../replicas/other-copies.ts";
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

export function readIndex(store: ObjectStore, name: string, keys: EpochKeys, signal?: AbortSignal) {
  return readVerified(store, name, async (from) => {
    const bytes = await from.get(name, undefined, signal);
    if (objectName("index", createHash("sha256").update(bytes).digest("hex")) !== name)
      throw objectDamaged(name, "its bytes are not those that its name says");
    return decodeIndex(name, openObject("index", "", name, bytes, keys));
  });
}

/**
 * Reads the index objects that were not read yet: those of other writers come in between. Packs that none of the objects
 * lists any more are forgotten: an index object goes only after another took its place, and with a pack that is swept.
 */
export function indexLoader(store: ObjectStore, index: ChunkIndex, keys: EpochKeys) {
  /** The packs that each index object lists. */
  const seen = new Map<string, readonly string[]>();

  function forget(gone: readonly string[]): void {
    if (gone.length === 0) return;
    const packs = gone.flatMap((name) => seen.get(name) ?? []);
    for (const name of gone) seen.delete(name);
    const left = new Set([...seen.values()].flat());
    index.forget(packs.filter((packId) => !left.has(packId)));
  }

  async function read(name: string, signal?: AbortSignal): Promise<void> {
    const { packs } = await readIndex(store, name, keys, signal);
    for (const pack of packs) index.add(pack);
    mark(name, packs);
  }

  function mark(name: string, packs: readonly IndexedPack[]): void {
    seen.set(
      name,
      packs.map(({ packId }) => packId),
    );
  }

  async function load(signal?: AbortSignal): Promise<void> {
    // What is marked while the listing goes on may not be in it.
    const before = [...seen.keys()];
    const listed = new Set<string>();
    for await (const { name } of store.list("index/", { signal })) listed.add(name);
    const fresh = [...listed].filter((name) => !seen.has(name));
    for (let at = 0; at < fresh.length; at += READS_AT_ONCE)
      await Promise.all(fresh.slice(at, at + READS_AT_ONCE).map((name) => read(name, signal)));
    forget(before.filter((name) => !listed.has(name)));
  }
  return { load, mark };
}
