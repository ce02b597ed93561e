import type { Bus } from "@stillpoint/bus/bus";
import type { Log } from "@stillpoint/bus/log";
import { shipSource } from "@stillpoint/contracts/commands";
import { shipSettings } from "@stillpoint/contracts/ship";
import type { ScheduledPlan } from "./plan-book.ts";

export type ShippingAsker = {
  bus: Bus;
  log: Log;
  monotonicMs: () => number;
  /** When the shippers of a plan were last asked for; a plan that has changed is another one. */
  askedMs: WeakMap<ScheduledPlan, number>;
};

/** A command that got lost, or whose shipper took a plan for gone that came back, is there again after this long. */
const ASK_EVERY_MS = 10_000;

/**
 * Asks for a shipper of each of a plan's logs. Mostly there is one: the command stays in the queue for as long as it is
 * under way, and the server refuses a second. What is in the queue of an older revision will do, for a shipper follows its
 * plan.
 */
export async function publishShipping(asker: ShippingAsker, plan: ScheduledPlan): Promise<void> {
  const nowMs = asker.monotonicMs();
  const askedMs = asker.askedMs.get(plan);
  if (askedMs !== undefined && nowMs < askedMs + ASK_EVERY_MS) return;
  await Promise.all(
    Object.entries(plan.sources).map(async ([source, spec]) => {
      if (shipSettings(spec) === undefined) return;
      const { outcome } = await asker.bus.publishCommand(
        shipSource,
        { kind: spec.kind, site: spec.at, plan: plan.name, source },
        { plan: plan.name, revision: plan.revision, source, spec },
        { messageId: `${plan.name}:${source}:${plan.revision}` },
      );
      if (outcome === "stored") asker.log.info({ plan: plan.name, source }, "shipper asked for");
    }),
  );
  asker.askedMs.set(plan, nowMs);
}
