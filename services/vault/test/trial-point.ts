import { randomUUID } from "node:crypto";
import { uuidv7 } from "@stillpoint/contracts/names";
import type { Point } from "@stillpoint/contracts/point";
import type { Repository } from "@stillpoint/repository/repository";

/** A point of one source on one backup. Of the plan `shop` its id follows from the time of its cut. */
export function trialPoint(plan: string, cutAt: string, backupId: string): Point {
  const cutId = randomUUID();
  return {
    pointId: plan === "shop" ? uuidv7(Date.parse(cutAt), Buffer.alloc(10, 1)) : randomUUID(),
    runId: randomUUID(),
    plan,
    revision: "a".repeat(64),
    entries: [],
    cut: {
      cutId,
      mode: "align",
      at: cutAt,
      consistency: "aligned",
      reasons: [],
      windowMs: 1,
      skewMs: 1,
      offsetsMs: { files: 1 },
    },
    sources: [
      {
        source: "files",
        kind: "files",
        site: "default",
        backups: [backupId],
        mark: { cutId, position: "1", detail: {}, notes: [] },
        runtime: { id: "files", version: "1", arch: "x64", extensions: [], settings: {} },
        addresses: [],
        bytes: 1,
        storedBytes: 1,
        ms: 1,
      },
    ],
    skipped: [],
    partial: false,
    startedAt: cutAt,
    sealedAt: cutAt,
  };
}

/** Seals such a point; its id. */
export async function sealTrialPoint(
  repository: Repository,
  plan: string,
  cutAt: string,
  backupId: string,
): Promise<string> {
  const { pointId } = await repository.sealPoint(trialPoint(plan, cutAt, backupId));
  return pointId;
}
