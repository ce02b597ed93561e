import { randomUUID } from "node:crypto";
import { uuidv7 } from "@stillpoint/contracts/names";
import type { Repository } from "@stillpoint/repository/repository";

/** A sealed point of one source on one backup; its id. */
export async function sealTrialPoint(
  repository: Repository,
  plan: string,
  cutAt: string,
  backupId: string,
): Promise<string> {
  const pointId = uuidv7(Date.parse(cutAt), Buffer.alloc(10, 1));
  const cutId = randomUUID();
  await repository.sealPoint({
    pointId: plan === "shop" ? pointId : randomUUID(),
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
  });
  return pointId;
}
