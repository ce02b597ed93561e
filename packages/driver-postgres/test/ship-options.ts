import { flushAsks } from "@stillpoint/driver/flush-asks";
import type { ShipOptions } from "@stillpoint/driver/ship";

/** Flushes at once, has room, and nobody asks or listens, where `given` says no other. */
export function shipOptions(given: Pick<ShipOptions, "sink" | "stop"> & Partial<ShipOptions>): ShipOptions {
  return {
    owner: "test",
    flushMs: 50,
    retainMostBytes: 1e9,
    flushSoon: flushAsks().next,
    progress: () => undefined,
    ...given,
  };
}
