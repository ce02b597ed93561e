import type { Bucket, Written } from "@stillpoint/bus/bucket";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { RunState } from "@stillpoint/contracts/state";
import type { BUCKETS } from "@stillpoint/contracts/topology";

/** A run's state as this process wrote or read it last. */
export type HeldState = { state: RunState; revision: number };

type WithoutChange<State> = State extends unknown ? Omit<State, "changeId"> : never;
export type NextState = WithoutChange<RunState>;

/** Changes of a run's state: compare-and-set, each with a change id by which its author recognises it. */
export function runStore(bucket: Bucket<(typeof BUCKETS)["runs"]>, newId: () => string) {
  async function write(next: NextState, put: (state: RunState) => Promise<Written<RunState>>): Promise<HeldState> {
    const state: RunState = { ...next, changeId: newId() };
    const written = await put(state);
    if (written.written) return { state, revision: written.revision };
    // The answer to an earlier try may have been lost: what is there decides whose change it was.
    const { current } = written;
    if (current?.value.changeId === state.changeId) return { state, revision: current.revision };
    throw new StillpointError("LEASE_LOST", {
      what: "This process no longer drives the run",
      where: next.runId,
      why: current === undefined ? "its state is gone" : `${current.value.owner} changed it to ${current.value.state}`,
    });
  }
  return {
    async read(runId: string): Promise<HeldState | undefined> {
      const found = await bucket.get(runId);
      return found === undefined ? undefined : { state: found.value, revision: found.revision };
    },
    open: (state: NextState) => write(state, (value) => bucket.create(state.runId, value)),
    change: (held: HeldState, state: NextState) =>
      write(state, (value) => bucket.update(state.runId, value, held.revision)),
  };
}
export type RunStore = ReturnType<typeof runStore>;
