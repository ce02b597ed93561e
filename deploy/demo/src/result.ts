import type { Point, Proof } from "@stillpoint/contracts/point";
import type { SkippedStore } from "./stores.ts";

/** The demo's outcome as one JSON document. */
export function demoResult(
  point: Point,
  proof: Proof,
  types: ReadonlyMap<string, string>,
  skipped: readonly SkippedStore[],
) {
  return {
    point: {
      id: point.pointId,
      cut: point.cut.at,
      consistency: point.cut.consistency,
      fencedMs: point.cut.fencedMs ?? null,
      skewMs: point.cut.skewMs,
      windowMs: point.cut.windowMs,
    },
    sources: point.sources.map((each) => ({
      id: each.source,
      kind: each.kind,
      type: each.backups.map((backup) => types.get(backup) ?? "unknown").join("+"),
      mark: each.mark.position,
      bytes: each.bytes,
      storedBytes: each.storedBytes,
      ms: Math.round(each.ms),
    })),
    skipped: [...skipped, ...point.skipped.map(({ source, reason }) => ({ id: source, reason }))],
    proof: {
      verdict: proof.verdict,
      checks: proof.checks.map(({ name, verdict, detail }) => ({ name, verdict, detail })),
      ms: Math.round(proof.ms),
    },
    rtoMs: Math.round(proof.rtoMs),
  };
}
