import { setImmediate } from "node:timers/promises";
import type { ObjectStore } from "@stillpoint/object-store/object-store";

/** Work that waits before each of its steps; `gate` is what it waits at. */
export type Actor<Result> = (gate: () => Promise<void>) => Promise<Result>;

/** Turns of the event loop in which all that is under way comes to its next step: all of it is in this thread. */
const TURNS = 40;

/**
 * Lets the actors go one step at a time: where several wait, `choose` says whose turn it is. `begun` and `ended` count steps:
 * one that ended before another began was answered before.
 */
export async function interleave<Result>(actors: readonly Actor<Result>[], choose: (waiting: number) => number) {
  const waiting: { actor: number; go: () => void }[] = [];
  const spans = actors.map(() => ({ begun: Number.POSITIVE_INFINITY, ended: Number.POSITIVE_INFINITY }));
  let step = 0;
  const results = actors.map((actor, at) => {
    const gate = () => new Promise<void>((resolve) => void waiting.push({ actor: at, go: resolve }));
    const span = spans[at];
    return actor(gate).finally(() => {
      if (span !== undefined) span.ended = step;
    });
  });
  for (const result of results) result.catch(() => undefined); // looked at in the end
  for (;;) {
    for (let turn = 0; turn < TURNS && waiting.length + spans.filter(isOver).length < actors.length; turn++)
      await setImmediate();
    if (waiting.length === 0) break;
    waiting.sort((a, b) => a.actor - b.actor);
    const [next] = waiting.splice(choose(waiting.length), 1);
    const span = spans[next?.actor ?? 0];
    step++;
    if (span !== undefined) span.begun = Math.min(span.begun, step);
    next?.go();
    await setImmediate();
  }
  return { outcomes: await Promise.allSettled(results), spans };
}

const isOver = ({ ended }: { ended: number }) => ended < Number.POSITIVE_INFINITY;

/** Calls `run` with every sequence of choices there is, the last choice changing first; answers how many there were. */
export async function everyChoice(run: (choose: (of: number) => number) => Promise<void>): Promise<number> {
  const path: { taken: number; of: number }[] = [];
  for (let runs = 1; ; runs++) {
    let at = 0;
    await run((of) => {
      path[at] ??= { taken: 0, of };
      return path[at++]?.taken ?? 0;
    });
    while (path.length > 0 && (path.at(-1)?.taken ?? 0) + 1 >= (path.at(-1)?.of ?? 0)) path.pop();
    const last = path.at(-1);
    if (last === undefined) return runs;
    last.taken++;
  }
}

/** The store, waiting before each listing and each put of a folder. */
export function gated(store: ObjectStore, folder: string, gate: () => Promise<void>): ObjectStore {
  return {
    ...store,
    async *list(prefix, options) {
      if (prefix.startsWith(folder)) await gate();
      yield* store.list(prefix, options);
    },
    async put(name, body, options) {
      if (name.startsWith(folder)) await gate();
      await store.put(name, body, options);
    },
  };
}
