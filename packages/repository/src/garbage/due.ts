import type { CondemnedState, Generation } from "./condemned-state.ts";

/** Pure: what may be swept by the storage's clock, oldest first. What is void never is. */
export function dueGenerations(state: CondemnedState, nowMs: number, graceMs: number): Generation[] {
  const inForce = new Set<string>();
  for (const { name } of state.objects.values()) inForce.add(name);
  return state.generations.filter(
    ({ name, storedMs }) => inForce.has(name) && !state.void.has(name) && storedMs + graceMs <= nowMs,
  );
}

/** Pure: the newest generation that every live holder names or has passed. */
export function sweptUpTo(leases: readonly { generation: number }[]): number {
  return leases.reduce((least, { generation }) => Math.min(least, generation), Number.POSITIVE_INFINITY);
}

/**
 * Pure: which objects below `condemned/` have done their work, oldest first. Never the newest, whose number must not be given
 * out again, and none while an older one speaks of the same objects: it would count again. `isDone`: the object is gone, or
 * was looked at in a finished sweep and is needed.
 */
export function finishedGenerations(
  state: CondemnedState,
  isDone: (object: string, by: Generation) => boolean,
): Generation[] {
  const finished: Generation[] = [];
  const left: Generation[] = [];
  const spoken = new Set<string>();
  const leftNames = new Set(state.generations.map(({ name }) => name));
  for (const each of state.generations.slice(0, -1)) {
    const { objects, spared, sweeps, withdraws } = each.document;
    const works =
      objects.some((object) => state.objects.get(object)?.name === each.name && !isDone(object, each)) ||
      [...objects, ...spared].some((object) => spoken.has(object)) ||
      sweeps.some((name) => leftNames.has(name)) ||
      (withdraws !== undefined && leftNames.has(withdraws));
    if (works) {
      left.push(each);
      for (const object of [...objects, ...spared]) spoken.add(object);
    } else {
      finished.push(each);
      leftNames.delete(each.name);
    }
  }
  return finished;
}
