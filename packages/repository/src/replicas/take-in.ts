import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { changeLog } from "../changes/change-log.ts";
import { retiredSlots } from "../keys/retired-slots.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { kindOf } from "./kinds-replicated.ts";
import { type ReplicateOptions, type ReplicateReport, replicate } from "./replicate.ts";
import { readMarks } from "./sweep-marks.ts";

/** What stays gone when it was swept. Packs that come back with their index are garbage at worst. */
const NOT_REVIVED: ReadonlySet<string | undefined> = new Set(["points", "proofs", "holds", "backups"]);

/**
 * Copies what only this repository's store has into the present primary: it was the primary once, and was written to while
 * it was cut off. What either side has condemned or retired is not brought back.
 */
export async function takeIn(
  context: RepositoryContext,
  present: ObjectStore,
  options: ReplicateOptions = {},
): Promise<ReplicateReport> {
  const here = await context.condemned.load(options.signal);
  const there = await readMarks(context, present, here.generations, options.signal);
  const condemned = [...here.objects.keys(), ...there.objects.keys()];
  const except = new Set(condemned.filter((name) => NOT_REVIVED.has(kindOf(name))));
  // A slot that either side has retired must not open the repository again.
  const words = [context.changes, changeLog({ ...context, store: present })];
  for (const log of words) for (const name of retiredSlots(await log.newest(options.signal))) except.add(name);
  return replicate(context, present, { ...options, except });
}
