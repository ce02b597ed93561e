import { StillpointError } from "@stillpoint/contracts/errors";

/** Fires when nothing was heard for so long: a shipper that hangs is begun anew, and is not found out at a restore. */
export function watchSilence(ms: number, source: string) {
  const silent = new AbortController();
  const error = new StillpointError("TIMEOUT", {
    what: "The shipper was silent and is begun anew",
    where: source,
    why: `it told of no progress for ${ms / 1_000} s`,
  });
  const timer = setTimeout(() => silent.abort(error), ms);
  return {
    signal: silent.signal,
    heard: () => timer.refresh(),
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}
