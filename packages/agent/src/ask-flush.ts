import type { Bucket } from "@stillpoint/bus/bucket";
import type { Bus } from "@stillpoint/bus/bus";
import type { Clock } from "@stillpoint/contracts/clock";
import { StillpointError } from "@stillpoint/contracts/errors";
import { FLUSH, flushLog } from "@stillpoint/contracts/flush";
import type { BUCKETS } from "@stillpoint/contracts/topology";

/** `nobody`: for so long nobody has been there who ships the log. `unknown`: its shipper may be one that does not hear this. */
export type FlushAsked = { by: "shipper" } | { by: "nobody"; forMs: number } | { by: "unknown" };

const ANSWERED_WITHIN_MS = 5_000;
/** Who answered may have ended before it flushed, and another goes on. */
const AGAIN_AFTER_MS = 5_000;

/** Asks whoever ships a source's log to flush it: at each call until it is answered, and then once in a while. */
export function flushAsker(
  ports: { bus: Pick<Bus, "request">; leases: Pick<Bucket<(typeof BUCKETS)["leases"]>, "get">; clock: Clock },
  { plan, source }: { plan: string; source: string },
): () => Promise<FlushAsked> {
  const { bus, leases, clock } = ports;
  let answeredAtMs: number | undefined;
  let nobodySinceMs: number | undefined;

  const ask = async (): Promise<FlushAsked["by"]> => {
    try {
      await bus.request(flushLog, { plan, source }, {}, { timeoutMs: ANSWERED_WITHIN_MS });
      return "shipper";
    } catch (error) {
      if (!(error instanceof StillpointError)) throw error;
      if (error.code !== "UNREACHABLE") return "unknown";
      return await whoIsThere();
    }
  };
  const whoIsThere = async (): Promise<FlushAsked["by"]> => {
    try {
      const lease = await leases.get(`ship.${plan}.${source}`);
      return lease === undefined || lease.value.hears?.includes(FLUSH) ? "nobody" : "unknown";
    } catch (error) {
      if (!(error instanceof StillpointError)) throw error;
      return "unknown"; // without NATS nothing is known of anybody
    }
  };

  return async () => {
    const nowMs = clock.monotonicMs();
    if (answeredAtMs !== undefined && nowMs - answeredAtMs < AGAIN_AFTER_MS) return { by: "shipper" };
    const by = await ask();
    answeredAtMs = by === "shipper" ? nowMs : undefined;
    nobodySinceMs = by === "nobody" ? (nobodySinceMs ?? nowMs) : undefined;
    return by === "nobody" ? { by, forMs: clock.monotonicMs() - (nobodySinceMs ?? nowMs) } : { by };
  };
}
