import { getDocument, listIds } from "../documents-store.ts";
import { sealedPoint } from "../format/documents.ts";
import { type RestOnLog, restsOf } from "../log/point-log.ts";
import type { RepositoryContext } from "../repository-context.ts";

const READS_AT_ONCE = 16;

/** `backups`: their ids; `rests`: where the log that the repository holds is laid over them. */
export type StandsOn = { backups: readonly string[]; rests: readonly RestOnLog[] };

/** What each point stands on. A point is read once: it never changes. */
export function sealedPoints(context: Pick<RepositoryContext, "store" | "ring" | "random">) {
  const known = new Map<string, StandsOn>();

  return {
    /** All points there are, deleted or not. */
    async read(signal?: AbortSignal): Promise<ReadonlyMap<string, StandsOn>> {
      const listed = new Set(await Array.fromAsync(listIds(context, "points", { signal })));
      for (const pointId of known.keys()) if (!listed.has(pointId)) known.delete(pointId);
      const fresh = [...listed].filter((pointId) => !known.has(pointId));
      for (let at = 0; at < fresh.length; at += READS_AT_ONCE)
        await Promise.all(
          fresh.slice(at, at + READS_AT_ONCE).map(async (pointId) => {
            const found = await getDocument(context, "points", pointId, sealedPoint, signal);
            if (found === undefined) return;
            const { manifests, point } = found.document;
            known.set(pointId, { backups: manifests.map(({ backupId }) => backupId), rests: restsOf(point) });
          }),
        );
      return known;
    },
  };
}
export type SealedPoints = ReturnType<typeof sealedPoints>;
