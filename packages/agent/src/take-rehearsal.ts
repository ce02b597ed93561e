import type { CommandHandler } from "@stillpoint/bus/take-commands";
import type { rehearseSource } from "@stillpoint/contracts/commands";
import { toStillpointError } from "@stillpoint/contracts/errors";
import { progress, rehearsalFailed, rehearsalFinished, rehearsalStarted } from "@stillpoint/contracts/events";
import { toInstant } from "@stillpoint/contracts/names";
import type { SourceSpec } from "@stillpoint/contracts/source";
import { driverContext } from "./driver-context.ts";
import type { AgentShared } from "./own-source.ts";
import { rehearse } from "./rehearse.ts";

const LEASE_RETRY_MS = 1_000;

/** Rehearses one source and tells what came of it. A crash in the middle leaves a command that is offered again. */
export function takeRehearsal<Spec extends SourceSpec>(
  shared: AgentShared<Spec>,
): CommandHandler<typeof rehearseSource> {
  const { context, driver, workDirectory } = shared;
  const { bus, clock } = context;
  return async ({ body, signal, delay }) => {
    const { proofId, pointId, source } = body;
    await using lease = await bus.acquireLease(`rehearse.${proofId}.${source}`, shared.agent);
    if (lease === undefined) return delay(LEASE_RETRY_MS);
    const startedMs = clock.monotonicMs();
    const at = () => toInstant(clock.now());
    await bus.publishEvent(rehearsalStarted, { proofId, source }, { proofId, pointId, source, at: at() });
    try {
      const finished = await rehearse(
        body,
        {
          driver,
          workDirectory,
          monotonicMs: clock.monotonicMs,
          context: (directory, ownSignal) => driverContext(shared, directory, ownSignal, { proofId, source }),
          report: (step, bytes) =>
            bus.publishSignal(
              progress,
              { runId: proofId, source },
              {
                runId: proofId,
                source,
                kind: driver.kind,
                step,
                bytes,
                ms: clock.monotonicMs() - startedMs,
              },
            ),
        },
        AbortSignal.any([signal, lease.lost]),
      );
      await bus.publishEvent(rehearsalFinished, { proofId, source }, { ...finished, at: at() });
    } catch (thrown) {
      if (signal.aborted || lease.lost.aborted) throw thrown;
      const error = toStillpointError(thrown, "Cannot rehearse the source").toBody();
      context.log.warn({ proofId, source, error }, "rehearsal failed");
      await bus.publishEvent(rehearsalFailed, { proofId, source }, { proofId, pointId, source, error, at: at() });
    }
  };
}
