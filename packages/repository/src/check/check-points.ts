import { getDocument, listIds } from "../documents-store.ts";
import { manifest, sealedPoint } from "../format/documents.ts";
import { objectName } from "../format/kinds.ts";
import { findPointServing, type RestOnLog, restsOf } from "../log/point-log.ts";
import type { Serving } from "../log/serve.ts";
import type { SourceLog } from "../log/source-log.ts";
import { listProofs } from "../points.ts";
import type { RepositoryContext } from "../repository-context.ts";
import type { Manifests } from "./check-backups.ts";
import { readTwice } from "./read-twice.ts";
import type { CheckProgress, Findings } from "./report.ts";

type Options = { signal?: AbortSignal | undefined; tell: (progress: CheckProgress) => void };

type Suspect = { object: string; why: string; backupId?: string; pointId: string };

/** What was found of the objects that a point's log is read from. */
function problemsOf(found: Findings, { reads }: Serving) {
  return reads.flatMap((read) => {
    const object = read.type === "tail" ? objectName("tails", read.id) : objectName("backups", read.backupId);
    const byBackup = read.type === "closed" ? read.backupId : undefined;
    return [...found.problems.values()].filter(
      (problem) => problem.object === object || (byBackup !== undefined && problem.backups.includes(byBackup)),
    );
  });
}

/** Every point stands on the manifests that were sealed with it; what hurts one of them hurts the point. */
export async function checkPoints(
  context: RepositoryContext,
  found: Findings,
  manifests: Manifests,
  { signal, tell }: Options,
): Promise<number> {
  const suspects: Suspect[] = [];
  const logs = new Map<string, Promise<SourceLog>>();
  const logOf = ({ plan, source }: RestOnLog) => {
    const key = `${plan}/${source}`;
    const log = logs.get(key) ?? context.logs.read(context, { plan, source }, signal);
    logs.set(key, log);
    return log;
  };
  let points = 0;
  for await (const pointId of listIds(context, "points", { signal })) {
    const object = objectName("points", pointId);
    tell({ step: "points", done: ++points, bytes: 0 });
    const opened = await readTwice(found, object, () => getDocument(context, "points", pointId, sealedPoint, signal));
    if ("damaged" in opened) found.blame(opened.damaged).points.push(pointId);
    const proofs = await readTwice(found, object, () => Array.fromAsync(listProofs(context, { pointId, signal })));
    if ("damaged" in proofs) found.blame(proofs.damaged);
    if (!("result" in opened) || opened.result === undefined) continue;
    for (const rest of restsOf(opened.result.document.point)) {
      const log = await logOf(rest);
      const serving = findPointServing(log, rest);
      if (serving === undefined)
        suspects.push({ object, why: `the log of ${rest.source} that it rests on has a hole`, pointId });
      for (const problem of serving === undefined ? [] : problemsOf(found, serving))
        if (!problem.points.includes(pointId)) problem.points.push(pointId);
    }
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
  suspects: readonly Suspect[],
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
