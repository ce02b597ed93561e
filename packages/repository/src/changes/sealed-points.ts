import { getDocument, listIds } from "../documents-store.ts";
import { sealedPoint } from "../format/documents.ts";
import type { RepositoryContext } from "../repository-context.ts";

const READS_AT_ONCE = 16;

/** Which backups each point stands on. A point is read once: it never changes. */
export function sealedPoints(context: Pick<RepositoryContext, "store" | "ring" | "random">) {
  const known = new Map<string, readonly string[]>();

  return {
    /** All points there are, deleted or not, each with the ids of its backups. */
    async read(signal?: AbortSignal): Promise<ReadonlyMap<string, readonly string[]>> {
      const listed = new Set(await Array.fromAsync(listIds(context, "points", { signal })));
      for (const pointId of known.keys()) if (!listed.has(pointId)) known.delete(pointId);
      const fresh = [...listed].filter((pointId) => !known.has(pointId));
      for (let at = 0; at < fresh.length; at += READS_AT_ONCE)
        await Promise.all(
          fresh.slice(at, at + READS_AT_ONCE).map(async (pointId) => {
            const found = await getDocument(context, "points", pointId, sealedPoint, signal);
            if (found !== undefined)
              known.set(
                pointId,
                found.document.manifests.map(({ backupId }) => backupId),
              );
          }),
        );
      return known;
    },
  };
}
export type SealedPoints = ReturnType<typeof sealedPoints>;
