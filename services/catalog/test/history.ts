import type { runFailed, runFinished, runStarted } from "@stillpoint/contracts/events";
import { toInstant, uuidv7, type Verdict } from "@stillpoint/contracts/names";
import type { BackupFigures, Point, Proof } from "@stillpoint/contracts/point";
import { backupFigures, point, proof } from "@stillpoint/contracts/point";
import type { z } from "zod";

const START = Date.UTC(2026, 0, 1);

/** Ids and contents follow from the number alone. */
export function idAt(number: number, kind: number): string {
  return uuidv7(START + number * 60_000, Buffer.alloc(10, kind));
}
const at = (number: number, ms = 0) => toInstant(START + number * 60_000 + ms);

export function backupAt(number: number, source: string): BackupFigures {
  const runId = idAt(number, 1);
  return backupFigures.parse({
    backupId: `${runId}_${source}_7_base1`,
    plan: "shop",
    source,
    kind: "sqlite",
    type: "full",
    runId,
    bytes: 3_000_000_000 + number,
    storedBytes: 1_000 + number,
    files: 3,
    checksum: "ab".repeat(32),
    startedAt: at(number, 100),
    finishedAt: at(number, 900),
  } satisfies z.input<typeof backupFigures>);
}

export function pointAt(number: number, skipped: string[] = []): Point {
  const sources = ["carts", "orders"].filter((source) => !skipped.includes(source));
  const cutId = idAt(number, 3);
  return point.parse({
    pointId: idAt(number, 2),
    runId: idAt(number, 1),
    plan: "shop",
    revision: "cd".repeat(32),
    entries: ["every-5m"],
    cut: {
      cutId,
      mode: "fence",
      at: at(number, 1_000),
      consistency: "fenced",
      windowMs: 12.25,
      skewMs: 3.5,
      fencedMs: 20,
      heldThroughout: true,
      sequence: number,
      offsetsMs: Object.fromEntries(sources.map((source) => [source, 4])),
    },
    sources: sources.map((source) => ({
      source,
      kind: "sqlite" as const,
      site: "default",
      backups: [backupAt(number, source).backupId],
      mark: { cutId, position: `frame ${number}`, detail: { frame: number } },
      runtime: { id: "sqlite3", version: "3.50", arch: "x64" },
      bytes: 3_000_000_000,
      storedBytes: 1_000,
      ms: 17.5,
      addresses: [],
    })),
    skipped: skipped.map((source) => ({ source, reason: "it was down" })),
    partial: skipped.length > 0,
    startedAt: at(number),
    sealedAt: at(number, 2_000),
  });
}

export function proofAt(number: number, verdict: Verdict, ordinal = 0): Proof {
  return proof.parse({
    proofId: idAt(number, 4 + ordinal),
    pointId: idAt(number, 2),
    plan: "shop",
    verdict,
    reasons: verdict === "pass" ? [] : ["a check failed"],
    checks: [
      { name: "integrity of orders", verdict, detail: "ok", sources: ["orders"] },
      { name: "sequence", verdict: "pass", detail: "7 everywhere", sources: ["carts", "orders"] },
    ],
    rtoMs: 1_234.5,
    ms: 2_345,
    startedAt: at(number + ordinal, 3_000),
    finishedAt: at(number + ordinal, 5_345),
  } satisfies z.input<typeof proof>);
}

const run = (number: number) => ({ runId: idAt(number, 1), plan: "shop", pointId: idAt(number, 2) });

export const startedAt = (number: number): z.output<typeof runStarted.body> => ({
  ...run(number),
  at: at(number),
  revision: "cd".repeat(32),
  entries: [],
  requestedBy: "schedule",
});
export const finishedAt = (number: number, partial = false): z.output<typeof runFinished.body> => ({
  ...run(number),
  at: at(number, 2_100),
  partial,
  skipped: [],
});
export const failedAt = (number: number): z.output<typeof runFailed.body> => ({
  ...run(number),
  at: at(number, 2_200),
  error: { code: "SOURCE_UNREACHABLE", retry: "backoff", what: "Cannot open the source", why: "connection refused" },
});
