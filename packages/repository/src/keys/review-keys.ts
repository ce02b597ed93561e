import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { type KeyWork, openKeys } from "./key-context.ts";
import { type KeyDue, keyDues, type RotationPeriod } from "./key-dues.ts";
import type { Opener } from "./opener.ts";
import { activeSlots } from "./slot-states.ts";

/** When each key is due, and which epoch is the newest; changes nothing. */
export async function reviewKeys(
  store: ObjectStore,
  opener: Opener,
  options: KeyWork & RotationPeriod,
): Promise<{ epoch: number; keys: KeyDue[] }> {
  const context = await openKeys(store, opener, options);
  return {
    epoch: context.ring.epochs.current,
    keys: keyDues(await activeSlots(context), options.now(), options),
  };
}
