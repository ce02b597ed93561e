import { StillpointError } from "@stillpoint/contracts/errors";

/** Without an answer for so long at the first look at a server, it counts as down. */
const OPEN_MS = 30_000;

/** The first look at a server: one that takes connections and answers nothing is not waited for without end. */
export async function answeredInTime<Result>(
  url: string,
  signal: AbortSignal,
  look: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  try {
    return await look(AbortSignal.any([signal, AbortSignal.timeout(OPEN_MS)]));
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof Error) || error.name !== "TimeoutError") throw error;
    throw new StillpointError("SOURCE_UNREACHABLE", {
      what: "Cannot reach the Qdrant server",
      where: url,
      why: `no answer within ${OPEN_MS / 1000} s`,
      cause: error,
    });
  }
}
