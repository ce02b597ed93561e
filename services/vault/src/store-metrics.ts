import type { Observer } from "@stillpoint/object-store/observe";
import { Counter, Histogram, type Registry } from "prom-client";

/** From a HEAD nearby to a pack over a slow line. */
const SECONDS = [0.005, 0.02, 0.1, 0.5, 2, 10, 60];

/** What each target is asked, retries included, by target and method. */
export function storeMetrics(registry: Registry): (target: string) => Observer {
  const registers = [registry];
  const seconds = new Histogram({
    name: "stillpoint_store_call_seconds",
    help: "Calls to a target of the repository, by how long they took",
    labelNames: ["target", "method"],
    buckets: SECONDS,
    registers,
  });
  const bytes = new Counter({
    name: "stillpoint_store_bytes_total",
    help: "Bytes of objects sent to a target and received from it",
    labelNames: ["target", "direction"],
    registers,
  });
  const errors = new Counter({
    name: "stillpoint_store_errors_total",
    help: "Calls to a target that failed, by error code; those that a retry mended count too",
    labelNames: ["target", "method", "code"],
    registers,
  });
  return (target) => (call) => {
    seconds.observe({ target, method: call.method }, call.seconds);
    if (call.sentBytes > 0) bytes.inc({ target, direction: "sent" }, call.sentBytes);
    if (call.receivedBytes > 0) bytes.inc({ target, direction: "received" }, call.receivedBytes);
    if (call.error !== undefined) errors.inc({ target, method: call.method, code: call.error });
  };
}
