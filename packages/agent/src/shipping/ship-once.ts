import { StillpointError } from "@stillpoint/contracts/errors";
import type { ShipSettings } from "@stillpoint/contracts/ship";
import type { SourceSpec } from "@stillpoint/contracts/source";
import { claimDirectory } from "@stillpoint/driver/sandbox-record";
import { driverContext } from "../driver-context.ts";
import type { AgentShared } from "../own-source.ts";
import { logSink } from "./log-sink.ts";
import type { LogStore } from "./log-store.ts";
import type { LogMetrics } from "./ship-metrics.ts";
import type { ShipReport } from "./ship-report.ts";
import { watchSilence } from "./watch-silence.ts";

export type Shipping<Spec extends SourceSpec> = {
  plan: string;
  source: string;
  spec: Spec;
  settings: ShipSettings;
  /** Flush what is there, and end. */
  stop: AbortSignal;
  /** Write nothing more. */
  lost: AbortSignal;
  store: LogStore;
  report: ShipReport;
  /** Its log flows. */
  flows: () => void;
  flushSoon: () => AbortSignal;
  metrics: LogMetrics;
  pauseOf: (attempt: number) => number;
};

/** Whose shipping it is, by the source's own server; the same for good. */
export function ownerOf({ plan, source }: { plan: string; source: string }): string {
  return `${plan}.${source}`;
}

/** A flush that does not come to its end, because the vault is away, is given up: its bytes are on the source still. */
const FLUSH_WITHIN_MS = 15_000;
/** A driver tells of its progress every few seconds, and is not blamed for a vault that is away. */
const SILENT_MS = 120_000;

/** Ships a log by one spec, from what the repository holds until it is told to stop. Rejects where it ends for any other reason. */
export async function shipOnce<Spec extends SourceSpec>(
  shared: AgentShared<Spec>,
  shipping: Shipping<Spec>,
): Promise<void> {
  const { driver } = shared;
  const { plan, source, spec, settings, stop, lost, store, report, flows, flushSoon, metrics, pauseOf } = shipping;
  if (driver.ship === undefined) throw notShipped(source, `a driver of kind ${driver.kind} ships no log`);
  const from = await store.held(stop);
  using late = afterStop(stop, FLUSH_WITHIN_MS, source);
  using silence = watchSilence(SILENT_MS, source);
  const signal = AbortSignal.any([lost, late.signal, silence.signal]);
  const sink = logSink({
    store,
    signal,
    pauseMs: pauseOf,
    flushed: (_, bytes) => {
      silence.heard();
      metrics.flushed(bytes);
    },
    refused: (error, attempt, againInMs) => {
      silence.heard();
      report.refused(error, attempt, againInMs);
    },
  });
  await using directory = await claimDirectory(shared.workDirectory, "ship");
  await driver.ship(
    spec,
    {
      owner: ownerOf(shipping),
      flushMs: settings.flushMs,
      flushSoon,
      retainMostBytes: settings.retainMostBytes,
      sink,
      stop,
      progress: (progress) => {
        silence.heard();
        flows();
        report.progress(progress);
      },
      ...(from === undefined ? {} : { from }),
    },
    driverContext(shared, directory.path, signal, { plan, source }),
  );
  if (!stop.aborted) throw notShipped(source, "the driver ended by itself");
}

function notShipped(source: string, why: string): StillpointError {
  return new StillpointError("INTERNAL", { what: "The log is not shipped", where: source, why });
}

/** Fires so long after `stop`. */
function afterStop(stop: AbortSignal, ms: number, source: string) {
  const late = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const arm = () => {
    const error = new StillpointError("TIMEOUT", { what: "The log's last flush was given up", where: source });
    timer = setTimeout(() => late.abort(error), ms);
  };
  if (stop.aborted) arm();
  else stop.addEventListener("abort", arm, { once: true });
  return {
    signal: late.signal,
    [Symbol.dispose]: () => {
      stop.removeEventListener("abort", arm);
      clearTimeout(timer);
    },
  };
}
