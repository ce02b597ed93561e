import { StillpointError } from "@stillpoint/contracts/errors";
import type { CutEvidence, Point, PointSource } from "@stillpoint/contracts/point";
import type { RunSource, RunState } from "@stillpoint/contracts/state";

/** The manifest to seal: every source with a mark of this very cut; the others skipped, which makes it partial. */
export function assemblePoint(
  run: Pick<RunState, "pointId" | "runId" | "plan" | "revision" | "entries" | "startedAt">,
  cut: CutEvidence,
  sources: readonly RunSource[],
): Omit<Point, "sealedAt"> {
  const captured: PointSource[] = [];
  const skipped: Point["skipped"] = [];
  for (const each of sources) {
    if (each.skipped !== undefined) {
      skipped.push({ source: each.source, reason: each.skipped });
      continue;
    }
    if (each.mark?.cutId !== cut.cutId) {
      throw new StillpointError("CUT_VOID", {
        what: "Cannot seal a point of two cuts",
        where: each.source,
        why: `its mark is of cut ${each.mark?.cutId ?? "none"}, the point's is ${cut.cutId}`,
      });
    }
    const { source, kind, site, mark, runtime, addresses, bytes, storedBytes, sizeBytes, ms } = each;
    captured.push({
      source,
      kind,
      site,
      mark,
      runtime,
      addresses,
      bytes,
      storedBytes,
      ...(sizeBytes === undefined ? {} : { sizeBytes }),
      ms,
      backups: [...each.base, ...each.finished],
    });
  }
  const { pointId, runId, plan, revision, entries, startedAt } = run;
  return {
    pointId,
    runId,
    plan,
    revision,
    entries,
    startedAt,
    cut,
    sources: captured,
    skipped,
    partial: skipped.length > 0,
  };
}
