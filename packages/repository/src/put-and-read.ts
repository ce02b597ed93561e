import { StillpointError } from "@stillpoint/contracts/errors";
import type { ObjectStore, PutOptions } from "@stillpoint/object-store/object-store";
import { objectDamaged } from "./format/damage.ts";

/** The object's bytes; undefined where it is not there, or cannot be shown yet. */
async function stored(store: ObjectStore, name: string, signal?: AbortSignal): Promise<Uint8Array | undefined> {
  try {
    return await store.get(name, undefined, signal);
  } catch (error) {
    if (error instanceof StillpointError && error.code === "OBJECT_MISSING") return undefined;
    throw error;
  }
}

/**
 * Puts a small object that much stands on, and believes that it is stored when it was read back: a storage that lies about
 * success is found out before anybody is told that a backup, a point or a hold is there. What it stored in its place goes,
 * so that doing it again finds the name free. As `put` otherwise.
 */
export async function putAndRead(
  store: ObjectStore,
  name: string,
  bytes: Uint8Array,
  options: PutOptions = {},
): Promise<void> {
  await store.put(name, bytes, options);
  const first = await stored(store, name, options.signal);
  if (first !== undefined && Buffer.compare(first, bytes) === 0) return;
  // Perhaps it was only read wrongly.
  const again = await stored(store, name, options.signal);
  if (again !== undefined && Buffer.compare(again, bytes) === 0) return;
  if (again === undefined) throw objectDamaged(name, "the object store said that it is stored, and does not give it");
  const isGone = await store.delete(name, options.signal).then(
    () => true,
    (error: unknown) => {
      // A lock keeps even what was stored wrongly.
      if (!(error instanceof StillpointError && error.code === "OBJECT_RETAINED")) throw error;
      return false;
    },
  );
  const then = isGone ? "it was taken away again" : "a lock keeps it there";
  throw objectDamaged(name, `the object store said that it is stored, and gave other bytes; ${then}`);
}

/** The same for a large one: it is there, and as long as it must be. What is in it is authenticated when it is read. */
export async function putAndLook(
  store: ObjectStore,
  name: string,
  bytes: Uint8Array,
  options: PutOptions = {},
): Promise<void> {
  await store.put(name, bytes, options);
  const found = await store.head(name, options.signal);
  if (found?.size === bytes.length) return;
  if (found !== undefined) await store.delete(name, options.signal);
  throw objectDamaged(
    name,
    `the object store said that it is stored, and has ${found?.size ?? "none"} of ${bytes.length} bytes`,
  );
}
