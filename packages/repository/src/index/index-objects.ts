import { createHash } from "node:crypto";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { objectDamaged } from "../format/damage.ts";
import { decodeIndex, encodeIndex, type IndexContent } from "../format/index-format.ts";
import { objectName } from "../format/kinds.ts";
import { type EpochKeys, openObject, sealObject } from "../format/sealed-object.ts";
import { putAndRead } from "../put-and-read.ts";
import { readVerified } from "../replicas/other-copies.ts";

const nameOf = (bytes: Uint8Array) => objectName("index", createHash("sha256").update(bytes).digest("hex"));

/** Writes a new index object. Its name is the hash of its bytes: to write it again is to write the same. */
export async function writeIndex(
  store: ObjectStore,
  content: IndexContent,
  keys: EpochKeys,
  random: (length: number) => Uint8Array,
  signal?: AbortSignal,
): Promise<string> {
  const bytes = sealObject("index", "", encodeIndex(content), keys, random);
  const name = nameOf(bytes);
  await putAndRead(store, name, bytes, { signal });
  return name;
}

export function openIndex(name: string, bytes: Uint8Array, keys: EpochKeys): IndexContent {
  if (nameOf(bytes) !== name) throw objectDamaged(name, "its bytes are not those that its name says");
  return decodeIndex(name, openObject("index", "", name, bytes, keys));
}

export async function readIndex(
  store: ObjectStore,
  name: string,
  keys: EpochKeys,
  signal?: AbortSignal,
): Promise<IndexContent> {
  return readVerified(store, name, async (from) => openIndex(name, await from.get(name, undefined, signal), keys));
}
