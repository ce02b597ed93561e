import type { Point, Proof } from "@stillpoint/contracts/point";
import { judgeRetention } from "@stillpoint/retention/judge";
import type { Policy } from "@stillpoint/retention/policy";
import type { LogWindow, Retention, RetentionPoint } from "@stillpoint/retention/retention-point";
import type { Repository } from "../repository.ts";

/** What retention needs of a repository. */
export type RetentionRepository = Pick<Repository, "pointStates" | "proofsOf" | "deletePoint" | "storageNow">;

const PROOF_OF = { pass: "proven", fail: "failed", inconclusive: "inconclusive" } as const;

function newestProof(proofs: readonly Proof[]): RetentionPoint["proof"] {
  const [first, ...others] = proofs;
  if (first === undefined) return "unproven";
  const newest = others.reduce((best, each) => (each.finishedAt > best.finishedAt ? each : best), first);
  return PROOF_OF[newest.verdict];
}

/**
 * The logs that reach further than the run that made their base: between the runs any moment can be had. Of the points on
 * one base the newest names all of the log.
 */
export function logWindowsOf(points: readonly Point[]): LogWindow[] {
  const longest = new Map<string, LogWindow>();
  for (const { runId, cut, sources } of points)
    for (const { source, backups } of sources) {
      const [base = ""] = backups;
      const toMs = Date.parse(cut.at);
      if (backups.length < 2 || base.startsWith(runId)) continue;
      const known = longest.get(base);
      if (known !== undefined && known.toMs >= toMs) continue;
      // A run's id is derived from, or made at, its moment: its first 48 bits are milliseconds.
      const fromMs = Number.parseInt(base.slice(0, 13).replace("-", ""), 16);
      longest.set(base, { source, fromMs, toMs, backups });
    }
  return [...longest.values()];
}

/** `deleted`: points of the plan that are there and were deleted. */
export type PlanJudgement = Retention & { deleted: ReadonlySet<string> };

/** One look at a plan's points: what stays, what goes, and why. Deletes nothing. */
export async function judgePlan(
  repository: RetentionRepository,
  plan: string,
  policy: Policy,
  signal?: AbortSignal,
): Promise<PlanJudgement> {
  const deleted = new Set<string>();
  const found: { point: Point; holds: RetentionPoint["holds"]; expires: RetentionPoint["expires"] }[] = [];
  for await (const { point, deletion, holds, expires } of repository.pointStates({ signal })) {
    if (point.plan !== plan) continue;
    if (deletion !== undefined) {
      deleted.add(point.pointId);
      continue;
    }
    const held = holds.map(({ reason, until }) => ({
      reason,
      untilMs: until === undefined ? undefined : Date.parse(until),
    }));
    found.push({ point, holds: held, expires });
  }
  const points = found.map(({ point, holds, expires }) => toRetentionPoint(point, holds, expires));
  await readProofs(repository, points);
  const nowMs = await repository.storageNow(signal);
  const logWindows = logWindowsOf(found.map(({ point }) => point));
  return { ...judgeRetention({ policy, points, logWindows, nowMs }), deleted };
}

function toRetentionPoint(
  { pointId, cut, entries, partial, sources }: Point,
  holds: RetentionPoint["holds"],
  expires: RetentionPoint["expires"],
): RetentionPoint {
  const backups = [...new Set(sources.flatMap(({ backups }) => backups))];
  return { pointId, cutMs: Date.parse(cut.at), entries, partial, proof: "unproven", holds, expires, backups };
}

/** From the newest point on until a whole one is proven: no other proof decides anything. */
async function readProofs(repository: RetentionRepository, points: RetentionPoint[]): Promise<void> {
  for (const point of points.sort((a, b) => b.cutMs - a.cutMs)) {
    if (point.partial) continue;
    point.proof = newestProof(await repository.proofsOf(point.pointId));
    if (point.proof === "proven") return;
  }
}
