import { getDocument, listIds } from "../documents-store.ts";
import { manifest, sealedPoint } from "../format/documents.ts";
import { objectName } from "../format/kinds.ts";
import { listProofs } from "../points.ts";
import type { RepositoryContext } from "../repository-context.ts";
import type { Manifests } from "./check-backups.ts";
import { readTwice } from "./read-twice.ts";
import type { CheckProgress, Findings } from "./report.ts";

type Options = { signal?: AbortSignal | undefined; tell: (progress: CheckProgress) => void };

/** Every point stands on the manifests that were sealed with it; what hurts one of them hurts the point. */
export async function checkPoints(
  context: RepositoryContext,
  found: Findings,
  manifests: Manifests,
  { signal, tell }: Options,
): Promise<number> {
  const suspects: { object: string; why: string; backupId: string; pointId: string }[] = [];
  let points = 0;
  for await (const pointId of listIds(context, "points", { signal })) {
    const object = objectName("points", pointId);
    tell({ step: "points", done: ++points, bytes: 0 });
    const opened = await readTwice(found, object, () => getDocument(context, "points", pointId, sealedPoint, signal));
    if ("damaged" in opened) found.blame(opened.damaged).points.push(pointId);
    const proofs = await readTwice(found, object, () => Array.fromAsync(listProofs(context, { pointId, signal })));
    if ("damaged" in proofs) found.blame(proofs.damaged);
    if (!("result" in opened) || opened.result === undefined) continue;
    for (const { backupId, sha256 } of opened.result.document.manifests) {
      for (const problem of found.problems.values())
        if (problem.backups.includes(backupId) && !problem.points.includes(pointId)) problem.points.push(pointId);
      if (found.problems.has(objectName("backups", backupId))) continue;
      // Stored since the backups were listed: it is there.
      const known =
        manifests.get(backupId) ?? (await getDocument(context, "backups", backupId, manifest, signal))?.sha256;
      if (known === sha256) continue;
      const why = `its backup ${backupId} ${known === undefined ? "is missing" : "is not the one that was sealed"}`;
      suspects.push({ object, why, backupId, pointId });
    }
  }
  await judgePoints(context, found, suspects, signal);
  return points;
}

/** A point that was deleted and swept meanwhile lost its backups with good reason. */
async function judgePoints(
  context: RepositoryContext,
  found: Findings,
  suspects: readonly { object: string; why: string; backupId: string; pointId: string }[],
  signal?: AbortSignal,
): Promise<void> {
  if (suspects.length === 0) return;
  const going = (await context.condemned.load(signal)).objects;
  for (const { object, why, backupId, pointId } of suspects) {
    if (going.has(object) || (await context.store.head(object, signal)) === undefined) continue;
    const problem = found.blame({ object, why }, backupId);
    if (!problem.points.includes(pointId)) problem.points.push(pointId);
  }
}
