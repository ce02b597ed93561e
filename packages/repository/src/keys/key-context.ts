import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { type KeyRing, openKeyRing } from "./key-ring.ts";
import type { Opener } from "./opener.ts";

/** What work on the key slots needs. A repository need not be opened for it: no index is read. */
export type KeyContext = {
  store: ObjectStore;
  ring: KeyRing;
  /** What opened `ring`. */
  opener: Opener;
  /** Bytes that nobody can guess. */
  random: (length: number) => Uint8Array;
  /** Milliseconds since the epoch. */
  now: () => number;
  /** Who does it: a person's name, or a service's. */
  by: string;
  /** The store's name among the targets, which a promotion speaks of; its URL where there is none. */
  target?: string | undefined;
};

export type KeyWork = Pick<KeyContext, "random" | "now" | "by" | "target">;

export async function openKeys(
  store: ObjectStore,
  opener: Opener,
  { random, now, by, target }: KeyWork,
): Promise<KeyContext> {
  const { ring } = await openKeyRing(store, opener);
  return { store, ring, opener, random, now, by, target };
}
