import { StillpointError } from "@stillpoint/contracts/errors";
import { objectDamaged } from "../format/damage.ts";
import type { Manifest } from "../format/documents.ts";
import { objectName } from "../format/kinds.ts";
import { chunksOfBackup } from "../garbage/chunks-there.ts";
import type { RepositoryContext } from "../repository-context.ts";
import type { Writing } from "./writing.ts";

export type ReadBackup = { backupId: string; document: Manifest };

function isCondemned(what: string, object: string): StillpointError {
  return new StillpointError("BASE_GONE", {
    what,
    where: object,
    why: "the collector means to delete it: it was in no point for too long",
    hint: "take the backup again; what is stored already is not stored twice",
  });
}

/** Every chunk of it. OBJECT_DAMAGED where one is in no index. */
export async function leanOnBackup(
  context: RepositoryContext,
  writing: Pick<Writing, "leans">,
  backup: ReadBackup,
  signal: AbortSignal,
): Promise<void> {
  const where = objectName("backups", backup.backupId);
  for await (const name of chunksOfBackup(context, backup.backupId, backup.document, signal)) {
    const location = context.index.locate(name);
    if (location === undefined)
      throw objectDamaged(where, `its chunk ${Buffer.from(name).toString("hex")} is in no index`);
    writing.leans(location);
  }
}

/**
 * What is done before anything new stands on backups that are there already. A backup that knew of the newest generation
 * uses nothing condemned, and is not walked; of another, what lies in condemned packs is stored anew. BASE_GONE where a
 * manifest itself is condemned.
 */
export async function leanOnBackups(
  context: RepositoryContext,
  writing: Writing,
  backups: readonly ReadBackup[],
  what: string,
  signal: AbortSignal,
): Promise<void> {
  await context.loader.load(signal);
  const walked = new Set<string>();
  for (let newest = writing.startedAt; ; ) {
    for (const backup of backups) {
      if (backup.document.generation >= newest || walked.has(backup.backupId)) continue;
      walked.add(backup.backupId);
      await leanOnBackup(context, writing, backup, signal);
    }
    const state = await writing.settle();
    for (const { backupId } of backups) {
      const object = objectName("backups", backupId);
      if (state.objects.has(object)) throw isCondemned(what, object);
    }
    if (state.newest === newest) return;
    newest = state.newest;
  }
}

/** What a lease names that stands on backups: it may use packs of every generation since. */
export function oldestGeneration(backups: readonly ReadBackup[]): number | undefined {
  return backups.length === 0 ? undefined : Math.min(...backups.map(({ document }) => document.generation));
}
