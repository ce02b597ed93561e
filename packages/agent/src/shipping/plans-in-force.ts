import type { Bucket } from "@stillpoint/bus/bucket";
import type { Log } from "@stillpoint/bus/log";
import type { PlanRevision } from "@stillpoint/contracts/state";
import type { BUCKETS } from "@stillpoint/contracts/topology";
import { keepRunning } from "@stillpoint/service/keep-running";

/** Undefined: nothing is known of such a plan. */
export type PlanInForce = PlanRevision | "deleted" | undefined;

/** The plans in force, followed once for all shippers of a process. */
export type PlansInForce = AsyncDisposable & {
  /** Resolves when all plans that there are have been heard of. */
  known: Promise<void>;
  get: (plan: string) => PlanInForce;
  /** Calls at each change of the plan, until disposal. */
  onChange: (plan: string, heard: () => void) => Disposable;
};

export function followPlans(plans: Bucket<(typeof BUCKETS)["plans"]>, log: Log): PlansInForce {
  const inForce = new Map<string, PlanRevision | "deleted">();
  const listeners = new Map<string, Set<() => void>>();
  const { promise: known, resolve: becomeKnown } = Promise.withResolvers<void>();
  const tell = (plan: string) => {
    for (const heard of listeners.get(plan) ?? []) heard();
  };
  const following = keepRunning(log, "plans", async (signal) => {
    const named = new Set<string>();
    for await (const change of plans.watch(">", signal)) {
      if (change.type === "current") {
        for (const plan of inForce.keys()) {
          if (named.has(plan)) continue;
          inForce.delete(plan);
          tell(plan);
        }
        becomeKnown();
        continue;
      }
      named.add(change.key);
      if (change.type !== "invalid") {
        inForce.set(change.key, change.type === "deleted" ? "deleted" : change.value);
        tell(change.key);
      }
      // What was in force before stays so: a log is not given up because a plan cannot be read here.
      else log.error({ plan: change.key, error: change.error.toBody() }, "plan not understood");
    }
  });
  return {
    known,
    get: (plan) => inForce.get(plan),
    onChange: (plan, heard) => {
      const heardBy = listeners.get(plan) ?? new Set();
      listeners.set(plan, heardBy.add(heard));
      return {
        [Symbol.dispose]: () => {
          heardBy.delete(heard);
          if (heardBy.size === 0) listeners.delete(plan);
        },
      };
    },
    [Symbol.asyncDispose]: () => following[Symbol.asyncDispose](),
  };
}
