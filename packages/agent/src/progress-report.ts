import type { Bus } from "@stillpoint/bus/bus";
import type { Clock } from "@stillpoint/contracts/clock";
import { progress } from "@stillpoint/contracts/events";
import type { SourceKind } from "@stillpoint/contracts/names";

export type CaptureStep = "open" | "base" | "settle" | "cut" | "finish";
export type ProgressReport = (step: CaptureStep, backupId?: string, bytes?: number, storedBytes?: number) => void;

/** Tells how far a capture or a base beside the points is, to whoever listens: nobody waits for it. */
export function progressReport(
  { bus, clock }: { bus: Pick<Bus, "publishSignal">; clock: Clock },
  { runId, source, kind }: { runId: string; source: string; kind: SourceKind },
): ProgressReport {
  const startedMs = clock.monotonicMs();
  return (step, backupId, bytes = 0, storedBytes) =>
    bus.publishSignal(
      progress,
      { runId, source },
      {
        runId,
        source,
        kind,
        step,
        bytes,
        ms: clock.monotonicMs() - startedMs,
        ...(backupId === undefined ? {} : { backupId }),
        ...(storedBytes === undefined ? {} : { storedBytes }),
      },
    );
}
