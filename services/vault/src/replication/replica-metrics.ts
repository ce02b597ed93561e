import { Counter, Gauge, type Registry } from "prom-client";

const LABELS = ["target"];

/** What each replica lacks, by the last pass over it. */
export function replicaMetrics(registry: Registry, lagSeconds: () => Iterable<{ target: string; seconds: number }>) {
  const registers = [registry];
  const gauge = (name: string, help: string) => new Gauge({ name, help, labelNames: LABELS, registers });
  const counter = (name: string, help: string) => new Counter({ name, help, labelNames: LABELS, registers });
  new Gauge({
    name: "stillpoint_replica_lag_seconds",
    help: "For how long the primary has had the oldest object that the replica lacks; grows while no pass succeeds",
    labelNames: LABELS,
    registers,
    collect() {
      this.reset();
      for (const { target, seconds } of lagSeconds()) this.set({ target }, seconds);
    },
  });
  return {
    lagBytes: gauge("stillpoint_replica_lag_bytes", "Bytes of the objects that the replica lacks"),
    lagObjects: gauge("stillpoint_replica_lag_objects", "Objects that the replica lacks"),
    notCopied: gauge("stillpoint_replica_blocked_objects", "Objects that cannot be copied, or wait for such a one"),
    lastPass: gauge("stillpoint_replica_last_pass_timestamp_seconds", "When a pass over the replica last ended well"),
    copiedBytes: counter("stillpoint_replica_copied_bytes_total", "Bytes that were copied to the replica"),
    sweptObjects: counter("stillpoint_replica_swept_objects_total", "Objects that were deleted on the replica"),
    retained: gauge(
      "stillpoint_replica_retained_objects",
      "Objects whose delete a lock or policy of the replica refused",
    ),
    failures: counter("stillpoint_replica_failures_total", "Passes that broke off"),
    repaired: counter(
      "stillpoint_replica_repaired_objects_total",
      "Objects of a target that were repaired from another",
    ),
    fallbacks: counter("stillpoint_replica_fallback_reads_total", "Reads that the primary could not serve, by who did"),
  };
}
export type ReplicaMetrics = ReturnType<typeof replicaMetrics>;
