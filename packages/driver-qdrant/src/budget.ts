import { StillpointError } from "@stillpoint/contracts/errors";

/**
 * Runs `act` with a signal that fires when the time is up, and only then: what `act` leaves open outlives the budget, and
 * ends with `signal`. `step` says what was under way when it ran out.
 */
export async function withinBudget<Result>(
  budgetMs: number,
  signal: AbortSignal,
  act: (signal: AbortSignal, step: (name: string) => void) => Promise<Result>,
): Promise<Result> {
  const deadline = new AbortController();
  let underWay = "";
  const timer = setTimeout(() => {
    deadline.abort(cutVoid(`it was not done after ${Math.round(budgetMs)} ms, while ${underWay}`));
  }, budgetMs);
  try {
    return await act(AbortSignal.any([signal, deadline.signal]), (name) => {
      underWay = name;
    });
  } catch (error) {
    signal.throwIfAborted();
    throw deadline.signal.aborted ? deadline.signal.reason : error;
  } finally {
    clearTimeout(timer);
  }
}

export function cutVoid(why: string): StillpointError {
  return new StillpointError("CUT_VOID", {
    what: "Cannot fix the moment of the Qdrant server",
    why,
    hint: "the cut is tried again; a longer budget in the plan gives it more time",
  });
}
