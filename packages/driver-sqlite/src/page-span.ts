import type { PagesHead } from "./ship-record.ts";
import { isSameGeneration, type WalAddress } from "./wal-address.ts";

/**
 * Where a place of the log lies to a stretch that pages were collected over: `before` its beginning, `within` it, at its end or
 * `past` it, or `elsewhere`, in a generation that the stretch has nothing of.
 */
export function reachIn(
  { from, ends, to }: Pick<PagesHead, "from" | "ends" | "to">,
  place: WalAddress,
): "before" | "within" | "past" | "elsewhere" {
  const generations = [...ends, to];
  const at = generations.findIndex((each) => isSameGeneration(each, place));
  if (at === -1) return "elsewhere";
  if (at === 0 && place.frames < from.frames) return "before";
  return at === generations.length - 1 && place.frames >= to.frames ? "past" : "within";
}
