/** The n-th write of a collection's one writer, which waits for each answer: what is there after n of them is known. */
export type VectorWrite = { do: "put"; id: number; seq: number } | { do: "delete"; id: number };

/** New points, points written anew, and deletes: what an optimization is hard on. Pure. */
export function writeOf(n: number): VectorWrite {
  if (n > 40 && n % 5 === 0) return { do: "delete", id: n - 33 };
  if (n > 40 && n % 5 === 1) return { do: "put", id: n - 8, seq: n };
  return { do: "put", id: n, seq: n };
}

/** The number that each point was written with last. */
export type VectorState = Map<number, number>;

export function apply(state: VectorState, n: number): void {
  const write = writeOf(n);
  if (write.do === "delete") state.delete(write.id);
  else state.set(write.id, write.seq);
}

export function stateAfter(n: number): VectorState {
  const state: VectorState = new Map();
  for (let each = 1; each <= n; each += 1) apply(state, each);
  return state;
}

/**
 * Pure: what is wrong with a collection that was restored to a cut before which `acknowledged` writes were answered, and
 * after which those beyond `sent` were begun. `whole`: it must be at one moment; else each point at one of its own.
 */
export function judgeVectors(
  found: ReadonlyMap<number, number>,
  { acknowledged, sent, whole }: { acknowledged: number; sent: number; whole: boolean },
): string[] {
  const state = stateAfter(acknowledged);
  const allowed = new Map<number, Set<number | undefined>>();
  const allow = (id: number) => {
    const values = allowed.get(id) ?? new Set();
    allowed.set(id, values.add(state.get(id)));
  };
  for (const id of state.keys()) allow(id);
  let isMoment = areEqual(found, state);
  for (let n = acknowledged + 1; n <= sent; n += 1) {
    allow(writeOf(n).id);
    apply(state, n);
    allow(writeOf(n).id);
    isMoment ||= areEqual(found, state);
  }
  const ids = new Set([...found.keys(), ...allowed.keys()]);
  const wrong = [...ids].filter((id) => !(allowed.get(id) ?? new Set([undefined])).has(found.get(id)));
  const told = wrong.slice(0, 5).map((id) => {
    const wanted = [...(allowed.get(id) ?? [])].map((each) => each ?? "none").join(" or ");
    return `point ${id} is ${found.get(id) ?? "not there"}, wanted ${wanted === "" ? "none" : wanted}`;
  });
  return [
    ...(wrong.length === 0 ? [] : [`${wrong.length} points are not as they were: ${told.join("; ")}`]),
    ...(wrong.length > 0 || isMoment || !whole ? [] : ["every point is as it was once, and not all at one moment"]),
  ];
}

function areEqual(one: ReadonlyMap<number, number>, other: ReadonlyMap<number, number>): boolean {
  return one.size === other.size && [...one].every(([id, seq]) => other.get(id) === seq);
}
