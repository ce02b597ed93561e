import type { Bus } from "@stillpoint/bus/bus";
import { type StillpointError, toStillpointError } from "@stillpoint/contracts/errors";
import { logShipped, shippingFailed, shippingStarted } from "@stillpoint/contracts/events";
import type { LogPosition } from "@stillpoint/contracts/log";
import { type SourceKind, toInstant } from "@stillpoint/contracts/names";
import type { ShipProgress } from "@stillpoint/driver/ship";
import type { LagClock } from "./lag.ts";
import type { LogMetrics } from "./ship-metrics.ts";

export type Shipment = { plan: string; source: string; kind: SourceKind; agent: string; fenceToken: number };

export type ReportPorts = {
  bus: Pick<Bus, "publishEvent" | "publishSignal">;
  lag: LagClock;
  metrics: LogMetrics;
  now: () => number;
  /** An event could not be told. */
  untold: (error: StillpointError) => void;
};

/** The vault is away for a moment whenever it starts anew: that is no news. */
const NEWS_FROM_ATTEMPT = 5;

/** Tells the world of one log: that it flows, how far it is, that it does not. Facts are told in the order in which they were. */
export function shipReport(shipment: Shipment, ports: ReportPorts) {
  const { bus, lag, metrics } = ports;
  const { plan, source, kind, agent, fenceToken } = shipment;
  let flows = false;
  let told: Promise<unknown> = Promise.resolve();
  const log = () => ({ plan, source, kind, at: toInstant(ports.now()) });
  const tell = (publish: () => Promise<unknown>) => {
    told = told.then(publish).catch((error: unknown) => ports.untold(toStillpointError(error, "Cannot tell of a log")));
  };
  const failed = (error: StillpointError, attempt: number, againInMs: number) => {
    flows = false;
    const body = { ...log(), agent, error: error.toBody(), attempt, againInMs };
    tell(() => bus.publishEvent(shippingFailed, { plan, source }, body));
  };
  const started = (held: LogPosition) => {
    flows = true;
    const body = { ...log(), agent, fenceToken, held };
    tell(() => bus.publishEvent(shippingStarted, { plan, source }, body));
  };
  return {
    progress: (progress: ShipProgress) => {
      if (!flows) started(progress.held);
      lag.seen(progress);
      metrics.lag(progress.lagBytes);
      bus.publishSignal(logShipped, { plan, source }, { ...log(), ...progress, lagMs: lag.lagMs() });
    },
    /** The vault does not take it for now. */
    refused: (error: StillpointError, attempt: number, againInMs: number) => {
      metrics.failed(error.code);
      if (attempt === NEWS_FROM_ATTEMPT) failed(error, attempt, againInMs);
    },
    failed: (error: StillpointError, attempt: number, againInMs: number) => {
      metrics.failed(error.code);
      failed(error, attempt, againInMs);
    },
    /** Resolves when all of it is told. */
    told: () => told,
  };
}
export type ShipReport = ReturnType<typeof shipReport>;
