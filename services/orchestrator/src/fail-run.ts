import { toStillpointError } from "@stillpoint/contracts/errors";
import { runFailed } from "@stillpoint/contracts/events";
import { at, changeState, commonState, type RunContext } from "./run-context.ts";

/** Writes that the run failed, and tells it. No point comes of it. */
export async function failRun(
  context: Pick<RunContext, "bus" | "store" | "held" | "now">,
  thrown: unknown,
): Promise<void> {
  const error = toStillpointError(thrown, "The run failed").toBody();
  const failedAt = at(context);
  const { runId, plan, pointId } = context.held.state;
  await changeState(context, { ...commonState(context), state: "failed", error, failedAt });
  await context.bus.publishEvent(runFailed, { runId }, { runId, plan, pointId, at: failedAt, error });
}
