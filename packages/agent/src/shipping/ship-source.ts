import { setTimeout as wait } from "node:timers/promises";
import type { CommandHandler } from "@stillpoint/bus/take-commands";
import type { shipSource as shipSourceCommand } from "@stillpoint/contracts/commands";
import { toStillpointError } from "@stillpoint/contracts/errors";
import { shippingStopped } from "@stillpoint/contracts/events";
import { FLUSH, flushLog } from "@stillpoint/contracts/flush";
import { toInstant } from "@stillpoint/contracts/names";
import type { SourceSpec } from "@stillpoint/contracts/source";
import { flushAsks } from "@stillpoint/driver/flush-asks";
import type { AgentShared } from "../own-source.ts";
import { lagClock } from "./lag.ts";
import { letGo } from "./let-go.ts";
import { pauseMs, triesOf } from "./patience.ts";
import type { PlansInForce } from "./plans-in-force.ts";
import { shipMetrics } from "./ship-metrics.ts";
import { shipOnce } from "./ship-once.ts";
import { shipReport } from "./ship-report.ts";
import { vaultLogStore } from "./vault-log-store.ts";
import { followWanted } from "./wanted.ts";

export type ShipShared<Spec extends SourceSpec> = AgentShared<Spec> & { plans: PlansInForce };

const LEASE_RETRY_MS = 1_000;

/**
 * Owns a source's log until its plan wants none of it, the lease is lost, or this process stops. However that ends, whoever
 * comes next goes on from what the repository holds. A failure is told, and tried again for as long as the plan wants it: a
 * log has no last attempt.
 */
export function shipSource<Spec extends SourceSpec>(
  shared: ShipShared<Spec>,
): CommandHandler<typeof shipSourceCommand> {
  const { context, driver, site, plans } = shared;
  const { bus, clock, log } = context;
  const metrics = shipMetrics(context.registry);
  const pauseOf = (attempt: number) => pauseMs(attempt, (context.random(1)[0] ?? 0) / 256);

  return async ({ body, signal, delay }) => {
    const { plan, source } = body;
    const about = { plan, source };
    const { kind } = driver;
    const shipper = `${kind}-${context.random(12).toString("hex")}`;
    await using lease = await bus.acquireLease(`ship.${plan}.${source}`, shipper, { hears: [FLUSH] });
    // Its holder may be a dead shipper: offered again until the lease has run out.
    if (lease === undefined) return delay(LEASE_RETRY_MS);
    const { fenceToken } = lease;
    const asks = flushAsks();
    await using _answering = await bus.answer(flushLog, { parameters: about }, async () => {
      asks.ask();
      return { asked: true as const };
    });
    const lag = lagClock(clock.monotonicMs);
    using own = metrics.of(about, lag.lagMs, clock.now);
    const report = shipReport(
      { ...about, kind, agent: shared.agent, fenceToken },
      { bus, lag, metrics: own, clock, log },
    );
    const store = vaultLogStore({ bus, shipped: { ...about, kind, fenceToken }, now: clock.now, lost: lease.lost });

    // By which the source was shipped last, here or by those before; its kind is the driver's, as the subject says.
    let last = body.spec as Spec;
    await plans.known;
    const tries = triesOf(clock.monotonicMs, pauseOf);
    for (;;) {
      using wanted = followWanted(plans, plan, { source, kind, site });
      if (!wanted.now.isWanted) {
        const isLeft = wanted.now.letsGo ? await letGo(shared, { ...about, spec: last, lost: lease.lost }) : undefined;
        const why = isLeft === undefined ? wanted.now.why : `${wanted.now.why}; ${isLeft}`;
        log.info({ ...about, why }, "log shipped no more");
        await report.told();
        await bus.publishEvent(shippingStopped, about, { ...about, kind, at: toInstant(clock.now()), why });
        return;
      }
      const { settings } = wanted.now;
      last = wanted.now.spec as Spec; // the kind is the driver's: else it would not be wanted here
      const stop = AbortSignal.any([signal, wanted.changed]);
      try {
        await shipOnce(shared, {
          ...about,
          spec: last,
          settings,
          stop,
          lost: lease.lost,
          store,
          report,
          flows: tries.flows,
          flushSoon: asks.next,
          metrics: own,
          pauseOf,
        });
      } catch (thrown) {
        // Stopped before it had begun, or gone to another: no failure.
        if (thrown !== stop.reason && !signal.aborted && !lease.lost.aborted) {
          const error = toStillpointError(thrown, "Cannot ship the source's log");
          const { attempt, againInMs } = tries.failed();
          report.failed(error, attempt, againInMs);
          await pause(againInMs, AbortSignal.any([stop, lease.lost]));
        }
      }
      if (lease.lost.aborted) return delay(LEASE_RETRY_MS);
      if (signal.aborted) throw signal.reason;
    }
  };
}

async function pause(ms: number, sooner: AbortSignal): Promise<void> {
  await wait(ms, undefined, { signal: sooner }).catch(() => {
    // Something has changed: no need to wait any longer.
  });
}
