import type { Condemned } from "../format/documents.ts";

/** An object below `condemned/`, with the time at which it was stored, by the storage's clock. */
export type Generation = { name: string; document: Condemned; storedMs: number };

export type CondemnedState = {
  /** The highest number there is; 0 where nothing was ever condemned. */
  newest: number;
  /** Each condemned object, with what condemned it last. */
  objects: ReadonlyMap<string, Generation>;
  /** Names of those that must not be swept: their number was taken twice, or came late. What they list is condemned anew. */
  void: ReadonlySet<string>;
  /** Names of those whose sweep has begun: what they list can no longer be spared. */
  doomed: ReadonlySet<string>;
  /** In their order. */
  generations: readonly Generation[];
};

function byNumber(a: Generation, b: Generation): number {
  return a.document.generation - b.document.generation || (a.name < b.name ? -1 : 1);
}

/**
 * A holder that named a number must have seen all that was condemned under it and before. So a number that two have, or
 * that a later one did not know of when it was written (its collector had been asleep), is void.
 */
function voidOf(sorted: readonly Generation[]): Set<string> {
  const others = sorted.map(({ name, document }) => ({
    name,
    generation: document.generation,
    before: new Set(document.before),
  }));
  const isVoid = ({ name, document: { generation } }: Generation) =>
    others.some(
      (other) =>
        other.name !== name &&
        (other.generation === generation || (other.generation > generation && !other.before.has(name))),
    );
  return new Set(sorted.filter(isVoid).map(({ name }) => name));
}

/** Pure. Of what is said of an object the newest generation counts: condemned or spared. */
export function condemnedState(generations: readonly Generation[]): CondemnedState {
  const sorted = [...generations].sort(byNumber);
  const voided = voidOf(sorted);
  const withdrawn = new Set(sorted.map(({ document }) => document.withdraws));
  const objects = new Map<string, Generation>();
  const doomed = new Set<string>();
  for (const each of sorted) {
    for (const object of each.document.objects) objects.set(object, each);
    if (!voided.has(each.name)) for (const object of each.document.spared) objects.delete(object);
    if (!withdrawn.has(each.name)) for (const name of each.document.sweeps) doomed.add(name);
  }
  const newest = sorted.at(-1)?.document.generation ?? 0;
  return { newest, objects, void: voided, doomed, generations: sorted };
}
