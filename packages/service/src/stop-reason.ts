/** Why a process stops; the first reason counts. */
export type StopReason =
  | { type: "signal"; signal: NodeJS.Signals }
  | { type: "parent-gone" }
  | { type: "bus-closed"; why: string | undefined };

const PARENT_POLL_MS = 1_000;

export type StopWatch = Disposable & { reason: Promise<StopReason> };

/**
 * Waits for a reason to stop. A second signal is somebody who does not want to wait for the stop: `forced` is called.
 * A child of `stillpoint up` also stops when its parent is gone, however that died.
 */
export function watchForStop(parentPid: number | undefined, forced: () => void): StopWatch {
  const { promise, resolve } = Promise.withResolvers<StopReason>();
  let signals = 0;
  const onSignal = (signal: NodeJS.Signals) => {
    signals += 1;
    if (signals > 1) forced();
    resolve({ type: "signal", signal });
  };
  const onDisconnect = () => resolve({ type: "parent-gone" });
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
  if (process.connected) process.once("disconnect", onDisconnect);
  const poll =
    parentPid === undefined ? undefined : setInterval(() => isGone(parentPid) && onDisconnect(), PARENT_POLL_MS);
  return {
    reason: promise,
    [Symbol.dispose]: () => {
      process.off("SIGTERM", onSignal);
      process.off("SIGINT", onSignal);
      process.off("disconnect", onDisconnect);
      clearInterval(poll);
    },
  };
}

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    // Not permitted to signal it means that it is there.
    return !(error instanceof Error && "code" in error && error.code === "EPERM");
  }
}
