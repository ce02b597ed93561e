import { Counter, Gauge, type Registry } from "prom-client";

export type LogLabels = { plan: string; source: string };
/** Of one log, for as long as it is shipped here. */
export type LogMetrics = Disposable & {
  lag: (bytes: number) => void;
  flushed: (bytes: number) => void;
  failed: (code: string) => void;
};
export type ShipMetrics = {
  /** `lagMs` is asked when somebody looks: it grows also while nothing is heard. */
  of: (labels: LogLabels, lagMs: () => number, nowMs: () => number) => LogMetrics;
};

/** Several agents may live in one process and share its registry. */
const known = new WeakMap<Registry, ShipMetrics>();

export function shipMetrics(registry: Registry): ShipMetrics {
  const found = known.get(registry);
  if (found !== undefined) return found;
  const made = register(registry);
  known.set(registry, made);
  return made;
}

function register(registry: Registry): ShipMetrics {
  const logs = new Map<LogLabels, () => number>();
  const common = { labelNames: ["plan", "source"], registers: [registry] };
  const lagBytes = new Gauge({
    name: "stillpoint_log_lag_bytes",
    help: "What the source has of its log and the repository does not, when it was last looked at",
    ...common,
  });
  const lagSeconds = new Gauge({
    name: "stillpoint_log_lag_seconds",
    help: "For how long the repository has been without something that the source's log has",
    ...common,
    collect() {
      for (const [labels, lagMs] of logs) this.set(labels, lagMs() / 1_000);
    },
  });
  const lastFlush = new Gauge({
    name: "stillpoint_log_last_flush_timestamp_seconds",
    help: "When something of the source's log was last stored",
    ...common,
  });
  const bytesShipped = new Counter({
    name: "stillpoint_log_shipped_bytes_total",
    help: "Bytes of the source's log that were stored; what was a tail counts again when its stretch closes",
    ...common,
  });
  const failures = new Counter({
    name: "stillpoint_shipping_failures_total",
    help: "Failures while a log was shipped, each followed by another try",
    labelNames: ["plan", "source", "code"],
    registers: [registry],
  });
  return {
    of: (labels, lagMs, nowMs) => {
      logs.set(labels, lagMs);
      return {
        lag: (bytes) => lagBytes.set(labels, bytes),
        flushed: (bytes) => {
          lastFlush.set(labels, nowMs() / 1_000);
          bytesShipped.inc(labels, bytes);
        },
        failed: (code) => failures.inc({ ...labels, code }),
        [Symbol.dispose]: () => {
          logs.delete(labels);
          // Another agent may ship it now, and ours would be a second, older truth. The counters stay: they only grow.
          for (const gauge of [lagBytes, lagSeconds, lastFlush]) gauge.remove({ ...labels });
        },
      };
    },
  };
}
