import type { Bus } from "@stillpoint/bus/bus";
import type { Log } from "@stillpoint/bus/log";
import type { Clock } from "@stillpoint/contracts/clock";
import { type StillpointError, toStillpointError } from "@stillpoint/contracts/errors";
import { logShipped, shippingFailed, shippingStarted } from "@stillpoint/contracts/events";
import type { LogPosition } from "@stillpoint/contracts/log";
import { type SourceKind, toInstant } from "@stillpoint/contracts/names";
import type { ShipProgress } from "@stillpoint/driver/ship";
import type { LagClock } from "./lag.ts";
import { newsOf } from "./patience.ts";
import type { LogMetrics } from "./ship-metrics.ts";

export type Shipment = { plan: string; source: string; kind: SourceKind; agent: string; fenceToken: number };

export type ReportPorts = {
  bus: Pick<Bus, "publishEvent" | "publishSignal">;
  lag: LagClock;
  metrics: LogMetrics;
  clock: Clock;
  log: Log;
};

/** The vault is away for a moment whenever it starts anew: that is no news. */
const NEWS_FROM_ATTEMPT = 5;

/** Tells the world of one log: that it flows, how far it is, that it does not. Facts are told in the order in which they were. */
export function shipReport(shipment: Shipment, ports: ReportPorts) {
  const { bus, lag, metrics, clock } = ports;
  const { plan, source, kind, agent, fenceToken } = shipment;
  const isNews = newsOf(clock.monotonicMs);
  let flows = false;
  let failingSinceMs: number | undefined;
  let told: Promise<unknown> = Promise.resolve();
  const of = { plan, source };
  const log = () => ({ ...of, kind, at: toInstant(clock.now()) });
  const tell = (publish: () => Promise<unknown>) => {
    told = told.then(publish).catch((thrown: unknown) => {
      const error = toStillpointError(thrown, "Cannot tell of a log");
      ports.log.error({ ...of, error: error.toBody() }, "event not told");
    });
  };
  const failed = (error: StillpointError, attempt: number, againInMs: number, what: string) => {
    flows = false;
    metrics.failed(error.code);
    failingSinceMs ??= clock.monotonicMs();
    if (!isNews(attempt)) return;
    const about = {
      error: error.toBody(),
      attempt,
      againInMs,
      forMs: Math.round(clock.monotonicMs() - failingSinceMs),
    };
    ports.log.warn({ ...of, ...about }, what);
    const body = { ...log(), agent, ...about };
    tell(() => bus.publishEvent(shippingFailed, of, body));
  };
  const started = (held: LogPosition) => {
    flows = true;
    failingSinceMs = undefined;
    const body = { ...log(), agent, fenceToken, held };
    tell(() => bus.publishEvent(shippingStarted, of, body));
  };
  return {
    progress: (progress: ShipProgress) => {
      if (!flows) started(progress.held);
      lag.seen(progress);
      metrics.lag(progress.lagBytes);
      bus.publishSignal(logShipped, of, { ...log(), ...progress, lagMs: lag.lagMs() });
    },
    /** The vault does not take it for now. */
    refused: (error: StillpointError, attempt: number, againInMs: number) => {
      if (attempt >= NEWS_FROM_ATTEMPT) failed(error, attempt, againInMs, "the vault takes no log");
      else {
        metrics.failed(error.code);
        ports.log.warn({ ...of, error: error.toBody(), attempt, againInMs }, "the vault took no log");
      }
    },
    failed: (error: StillpointError, attempt: number, againInMs: number) =>
      failed(error, attempt, againInMs, "shipping failed"),
    /** Resolves when all of it is told. */
    told: () => told,
  };
}
export type ShipReport = ReturnType<typeof shipReport>;
