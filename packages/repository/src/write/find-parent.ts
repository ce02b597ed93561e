import type { BackupFigures } from "@stillpoint/contracts/point";
import { getDocument } from "../documents-store.ts";
import { type Manifest, manifest } from "../format/documents.ts";
import { objectName } from "../format/kinds.ts";
import type { RepositoryContext } from "../repository-context.ts";

/** Manifests that are looked into at most: names of sources are unique within a plan only. */
const TRIES = 4;

/** Backups under way may be asked for at once; what was written by others is looked for once. */
export function newestBackups() {
  const known = new Map<string, string>();
  const keyOf = ({ plan, source, type }: Kind) => `${plan}/${source}/${type}`;
  return {
    get: (of: Kind) => known.get(keyOf(of)),
    set: (of: Kind & { backupId: string }) => void known.set(keyOf(of), of.backupId),
  };
}
export type Kind = Pick<BackupFigures, "plan" | "source" | "type">;

const same = (a: Kind, b: Kind) => a.plan === b.plan && a.source === b.source && a.type === b.type;

/** The newest backup of this source and type that new chunks may be compared with: one of the current epoch. */
export async function findParent(
  context: RepositoryContext,
  head: Kind,
  signal: AbortSignal,
): Promise<{ backupId: string; document: Manifest } | undefined> {
  const open = async (backupId: string) => {
    const found = await getDocument(context, "backups", backupId, manifest, signal);
    const fits = found !== undefined && same(found.document.figures, head);
    return fits && found.document.epoch === context.ring.epochs.current
      ? { backupId, document: found.document }
      : undefined;
  };
  const last = context.newest.get(head);
  const known = last === undefined ? undefined : await open(last);
  if (known !== undefined) return known;
  const folder = objectName("backups", "");
  const ofSource: { backupId: string; modifiedMs: number }[] = [];
  for await (const { name, modifiedMs } of context.store.list(folder, { signal })) {
    const backupId = name.slice(folder.length);
    const [, source] = backupId.split("_");
    if (source === undefined || source === head.source) ofSource.push({ backupId, modifiedMs });
  }
  ofSource.sort((a, b) => b.modifiedMs - a.modifiedMs);
  for (const { backupId } of ofSource.slice(0, TRIES)) {
    const found = await open(backupId);
    if (found !== undefined) return found;
  }
  return undefined;
}
