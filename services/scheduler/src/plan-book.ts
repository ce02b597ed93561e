import type { Change } from "@stillpoint/bus/kv-value";
import type { Log } from "@stillpoint/bus/log";
import { toStillpointError } from "@stillpoint/contracts/errors";
import type { Plan } from "@stillpoint/contracts/plan";
import type { PlanRevision, TickState } from "@stillpoint/contracts/state";
import { type Entry, parseSchedule } from "@stillpoint/schedule/schedule";

export type ScheduledPlan = {
  name: string;
  revision: string;
  acceptedAt: number;
  entries: readonly Entry[];
  sources: Plan["sources"];
  rtoMs: number;
};

export type KnownTick = { state: TickState; revision: number };

/** The plans in force and how far each has been ticked, as the bus tells it. */
export type PlanBook = {
  /** Whether everything that was there at the beginning has been read. */
  isCurrent: () => boolean;
  plans: () => ScheduledPlan[];
  tickOf: (plan: string) => KnownTick | undefined;
  /** Plans that are gone and whose ticks are still remembered. */
  forgotten: () => { plan: string; revision: number }[];
  /** Begins to listen to a full telling of the plans: what it does not name until it is current is gone. */
  readPlans: () => (change: Change<PlanRevision>) => void;
  readTicks: () => (change: Change<TickState>) => void;
  /** What is known of a tick before it is told to us, because we wrote it or met it. */
  learnTick: (plan: string, tick: KnownTick) => void;
};

export function planBook(log: Log): PlanBook {
  const plans = new Map<string, ScheduledPlan>();
  const ticks = new Map<string, KnownTick>();
  const current = { plans: false, ticks: false };
  const learnTick = (plan: string, tick: KnownTick) => {
    if ((ticks.get(plan)?.revision ?? 0) < tick.revision) ticks.set(plan, tick);
  };
  return {
    isCurrent: () => current.plans && current.ticks,
    plans: () => [...plans.values()],
    tickOf: (plan) => ticks.get(plan),
    forgotten: () => [...ticks].flatMap(([plan, { revision }]) => (plans.has(plan) ? [] : [{ plan, revision }])),
    learnTick,
    readPlans: () => {
      const named = new Set<string>();
      return (change) => {
        if (change.type === "current") {
          for (const plan of plans.keys()) if (!named.has(plan)) plans.delete(plan);
          current.plans = true;
          return;
        }
        named.add(change.key);
        if (change.type === "deleted") plans.delete(change.key);
        else if (change.type === "put") plans.set(change.key, schedulePlan(change.value, log));
        // What was in force before stays so: it is better to go on with an old schedule than with none.
        else log.error({ plan: change.key, error: change.error.toBody() }, "plan not understood");
      };
    },
    readTicks: () => (change) => {
      if (change.type === "current") current.ticks = true;
      else if (change.type === "deleted") ticks.delete(change.key);
      else if (change.type === "put") learnTick(change.key, { state: change.value, revision: change.revision });
      else log.error({ plan: change.key, error: change.error.toBody() }, "tick not understood");
    },
  };
}

/** The gateway accepts no schedule that cannot be read; should one come all the same, the plan has none and says so. */
function schedulePlan({ plan: name, revision, definition, acceptedAt }: PlanRevision, log: Log): ScheduledPlan {
  const base = {
    name,
    revision,
    acceptedAt: Date.parse(acceptedAt),
    sources: definition.sources,
    rtoMs: definition.objectives.rto,
  };
  try {
    return { ...base, entries: parseSchedule(definition) };
  } catch (error) {
    log.error(
      { plan: name, error: toStillpointError(error, "Cannot read the schedule").toBody() },
      "plan is not scheduled",
    );
    return { ...base, entries: [] };
  }
}
