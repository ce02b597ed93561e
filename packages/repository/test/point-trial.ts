import type { Point, Proof } from "@stillpoint/contracts/point";

export const trialId = (n: number) => `018f0000-0000-7000-8000-${String(n).padStart(12, "0")}`;
const at = "2026-01-02T03:04:05.000Z";

export function pointOf(n: number, backups: string[], more: Partial<Point> = {}): Point {
  return {
    ...madeOf(n, backups),
    ...more,
  };
}

/** On a base, and the log that is held up to a place of stream 00000001. */
export function restingPoint(n: number, base: string, place: string): Point {
  const { sources, ...rest } = pointOf(n, [base]);
  const log = { place: { stream: "00000001", at: place }, target: { by: "name" as const, name: `sp${n}` }, at };
  return { ...rest, sources: sources.map((source) => ({ ...source, mark: { ...source.mark, detail: {}, log } })) };
}

function madeOf(n: number, backups: string[]): Point {
  return {
    pointId: trialId(n),
    runId: trialId(1000 + n),
    plan: "shop",
    revision: "0".repeat(64),
    entries: ["daily"],
    cut: {
      cutId: trialId(2000 + n),
      mode: "fence",
      at,
      consistency: "fenced",
      reasons: [],
      windowMs: 12.5,
      skewMs: 3,
      offsetsMs: { orders: 5 },
    },
    sources: [
      {
        source: "orders",
        kind: "postgres",
        site: "default",
        backups,
        mark: { cutId: trialId(2000 + n), position: "0/1", detail: { lsn: "0/1" }, notes: [] },
        runtime: { id: "pg15-glibc", version: "15.1", arch: "x64", extensions: [], settings: {} },
        addresses: [],
        bytes: 1,
        storedBytes: 1,
        ms: 1,
      },
    ],
    skipped: [],
    partial: false,
    startedAt: at,
    sealedAt: at,
  };
}

export function proofOf(n: number, point: Point, verdict: Proof["verdict"] = "pass"): Proof {
  return {
    proofId: trialId(3000 + n),
    pointId: point.pointId,
    plan: "shop",
    verdict,
    reasons: [],
    checks: [{ name: "orders: opens", verdict, detail: "", sources: ["orders"] }],
    rtoMs: 1,
    ms: 1,
    startedAt: at,
    finishedAt: at,
  };
}
