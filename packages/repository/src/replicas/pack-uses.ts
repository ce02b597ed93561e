import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { packIdOf } from "../format/kinds.ts";
import { listSealedPoints } from "../points.ts";
import { openManifest, readTree } from "../read/read-tree.ts";
import type { RepositoryContext } from "../repository-context.ts";
import type { PackUse } from "./class-moves.ts";

/** When each backup is needed last: by the newest point that stands on it. A plan's newest whole point is always recent. */
export async function backupsNeeded(
  context: RepositoryContext,
  nowMs: number,
  signal?: AbortSignal,
): Promise<Map<string, number>> {
  const newest = new Map<string, { sealedMs: number; backups: string[] }>();
  const needed = new Map<string, number>();
  for await (const point of listSealedPoints(context, { signal })) {
    const sealedMs = Date.parse(point.sealedAt);
    const backups = point.sources.flatMap((source) => source.backups);
    for (const backupId of backups) needed.set(backupId, Math.max(needed.get(backupId) ?? 0, sealedMs));
    if (!point.partial && sealedMs >= (newest.get(point.plan)?.sealedMs ?? 0))
      newest.set(point.plan, { sealedMs, backups });
  }
  for (const { backups } of newest.values()) for (const backupId of backups) needed.set(backupId, nowMs);
  return needed;
}

/** Every pack of a target with when it is needed last: reads the trees of all backups that points stand on. */
export async function packUses(
  context: RepositoryContext,
  store: ObjectStore,
  nowMs: number,
  signal?: AbortSignal,
): Promise<PackUse[]> {
  await context.loader.load(signal);
  const neededMs = new Map<string, number>();
  const withTree = new Set<string>();
  for (const [backupId, ms] of await backupsNeeded(context, nowMs, signal)) {
    const touch = (chunk: Uint8Array, holdsTree: boolean) => {
      const location = context.index.locate(chunk);
      if (location === undefined) return;
      neededMs.set(location.packId, Math.max(neededMs.get(location.packId) ?? 0, ms));
      if (holdsTree) withTree.add(location.packId);
    };
    const { document } = await openManifest(context, backupId, signal);
    for (const name of document.tree) touch(Buffer.from(name, "hex"), true);
    for await (const item of readTree(context, backupId, document, signal))
      if (item.item === "blocks") for (const { chunk } of item.blocks.flat()) touch(chunk, false);
  }
  const uses: PackUse[] = [];
  for await (const { name, size, storageClass = "standard" } of store.list("packs/", { signal })) {
    const packId = packIdOf(name);
    uses.push({ name, size, storageClass, neededMs: neededMs.get(packId), holdsTree: withTree.has(packId) });
  }
  return uses;
}
