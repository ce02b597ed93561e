import { StillpointError } from "@stillpoint/contracts/errors";
import { deletionOf } from "../changes/deletion.ts";
import { getDocument } from "../documents-store.ts";
import { sealedPoint } from "../format/documents.ts";
import { objectName } from "../format/kinds.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { assertPacksThere, packsOf } from "./chunks-there.ts";

/**
 * Takes a deletion back, once every chunk of the point was found to be there. POINT_UNKNOWN where the point is gone,
 * OBJECT_DAMAGED where a part of it is.
 */
export async function undeletePoint(
  context: RepositoryContext,
  pointId: string,
  { by, reason }: { by: string; reason?: string | undefined },
): Promise<void> {
  const found = await getDocument(context, "points", pointId, sealedPoint);
  if (found === undefined)
    throw new StillpointError("POINT_UNKNOWN", {
      what: "Cannot undelete a point",
      where: pointId,
      why: "the repository holds no such point, or no longer",
    });
  if (deletionOf(await context.changes.newest(), pointId) === undefined) return;
  await context.loader.load();
  const packs = new Set<string>();
  for (const { backupId } of found.document.manifests)
    for (const packId of await packsOf(context, backupId)) packs.add(packId);
  await assertPacksThere(context, packs);
  await context.changes.append({
    change: "undelete",
    object: objectName("points", pointId),
    by,
    detail: reason === undefined ? {} : { reason },
  });
}
