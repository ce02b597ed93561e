import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { condemned, readDocument } from "../format/documents.ts";
import { objectName } from "../format/kinds.ts";
import { openObject } from "../format/sealed-object.ts";
import { type CondemnedState, condemnedState, type Generation } from "../garbage/condemned-state.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { readVerified } from "./other-copies.ts";

const FOLDER = objectName("condemned", "");

/**
 * Puts the primary's lists of what is condemned on a target where they are not yet: a sweep of the target counts their age
 * there, by its clock, and a target that is promoted goes on with their numbers, which must never be given out twice.
 */
export async function copyMarks(
  context: RepositoryContext,
  target: ObjectStore,
  signal?: AbortSignal,
): Promise<CondemnedState> {
  const state = await context.condemned.load(signal);
  const there = new Set<string>();
  for await (const { name } of target.list(FOLDER, { signal })) there.add(name);
  for (const { name } of state.generations)
    if (!there.has(name)) await target.put(name, await context.store.get(name, undefined, signal), { signal });
  return state;
}

/** The lists that lie on a target, with their time there. */
export async function readMarks(
  { ring }: Pick<RepositoryContext, "ring">,
  target: ObjectStore,
  known: readonly Generation[],
  signal?: AbortSignal,
): Promise<CondemnedState> {
  const documents = new Map(known.map(({ name, document }) => [name, document]));
  const marks: Generation[] = [];
  for await (const { name, modifiedMs } of target.list(FOLDER, { signal })) {
    let document = documents.get(name);
    if (document === undefined) {
      const id = name.slice(FOLDER.length).split("-", 1)[0] ?? "";
      document = await readVerified(target, name, async (from) => {
        const bytes = await from.get(name, undefined, signal);
        return readDocument(condemned, name, openObject("condemned", id, name, bytes, ring.epochs));
      });
    }
    marks.push({ name, document, storedMs: modifiedMs });
  }
  return condemnedState(marks);
}
