import type { NewestChanges } from "../changes/newest.ts";

/** Pure: names of the objects of key slots that are to open nothing any more. */
export function retiredSlots(newest: NewestChanges): Set<string> {
  const names = new Set<string>();
  for (const { change, object } of newest.all()) if (change === "retire-slot") names.add(object);
  return names;
}
