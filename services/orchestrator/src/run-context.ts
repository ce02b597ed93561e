import type { Bus } from "@stillpoint/bus/bus";
import { toInstant } from "@stillpoint/contracts/names";
import type { Plan } from "@stillpoint/contracts/plan";
import type { Secret } from "@stillpoint/contracts/secret";
import type { OrchestratorConfig } from "./config.ts";
import type { Sessions } from "./open-sessions.ts";
import type { HeldState, NextState, RunStore } from "./run-store.ts";
import type { SourceStore } from "./source-store.ts";

/** Everything one run is driven with. `held` is replaced at each change of state. */
export type RunContext = {
  bus: Bus;
  config: OrchestratorConfig;
  plan: Plan;
  store: RunStore;
  sources: SourceStore;
  sessions: Sessions;
  held: HeldState;
  now: () => number;
  monotonicMs: () => number;
  newId: () => string;
  secret: (reference: string) => Secret;
  /** Fires when the run is cancelled, when another process drives it, and when this process stops. */
  signal: AbortSignal;
  log: (message: string, fields: Record<string, unknown>) => void;
};

export function at(context: Pick<RunContext, "now">): string {
  return toInstant(context.now());
}

/** What stays of the state when it changes. */
export function commonState(context: Pick<RunContext, "held">) {
  const { runId, plan, revision, pointId, entries, requestedBy, startedAt, owner, attempts, voidedCuts, eventsAfter } =
    context.held.state;
  return { runId, plan, revision, pointId, entries, requestedBy, startedAt, owner, attempts, voidedCuts, eventsAfter };
}

export async function changeState(context: Pick<RunContext, "store" | "held">, next: NextState): Promise<number> {
  context.held = await context.store.change(context.held, next);
  return context.held.revision;
}
