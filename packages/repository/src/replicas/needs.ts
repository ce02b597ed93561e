import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { getDocument } from "../documents-store.ts";
import { objectDamaged } from "../format/damage.ts";
import { sealedPoint } from "../format/documents.ts";
import { objectName } from "../format/kinds.ts";
import { findPointServing, restsOf } from "../log/point-log.ts";
import { openManifest, readTree } from "../read/read-tree.ts";
import type { RepositoryContext } from "../repository-context.ts";

/** Of these packs, the ones that hold a chunk of the backup: its tree is read, its data is not. */
export async function packsOfBackup(
  context: RepositoryContext,
  backupId: string,
  among: { has(packId: string): boolean },
  signal?: AbortSignal,
): Promise<Set<string>> {
  const where = objectName("backups", backupId);
  const found = new Set<string>();
  const touch = (chunk: Uint8Array) => {
    const location = context.index.locate(chunk);
    if (location === undefined)
      throw objectDamaged(where, `its chunk ${Buffer.from(chunk).toString("hex")} is in no index`);
    if (among.has(location.packId)) found.add(location.packId);
  };
  const { document } = await openManifest(context, backupId, signal);
  for (const name of document.tree) touch(Buffer.from(name, "hex"));
  for await (const item of readTree(context, backupId, document, signal))
    if (item.item === "blocks") for (const { chunk } of item.blocks.flat()) touch(chunk);
  return found;
}

/** The first backup of a point that is not on the target, in words; undefined where all are. */
export async function missingBackup(
  context: RepositoryContext,
  pointId: string,
  target: ObjectStore,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const found = await getDocument(context, "points", pointId, sealedPoint, signal, { mustExist: true });
  for (const { backupId } of found?.document.manifests ?? [])
    if ((await target.head(objectName("backups", backupId), signal)) === undefined) return `backup ${backupId}`;
  return undefined;
}

/** The first object of the log that a point rests on which is among those that the target lacks. */
export async function missingOfLog(
  context: RepositoryContext,
  pointId: string,
  lacking: ReadonlySet<string>,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const found = await getDocument(context, "points", pointId, sealedPoint, signal, { mustExist: true });
  for (const rest of found === undefined ? [] : restsOf(found.document.point)) {
    const serving = findPointServing(await context.logs.read(context, rest, signal), rest);
    // What has a hole here is copied as it is: a replica is not worse than its primary.
    for (const read of serving?.reads ?? []) {
      const object = read.type === "tail" ? objectName("tails", read.id) : objectName("backups", read.backupId);
      if (lacking.has(object)) return object;
    }
  }
  return undefined;
}
