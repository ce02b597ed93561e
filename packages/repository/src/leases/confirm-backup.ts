import type { BackupFigures } from "@stillpoint/contracts/point";
import { openManifest } from "../read/read-tree.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { leanOnBackups } from "./lean-on-backups.ts";
import { beginWriting } from "./writing.ts";

/** A signal that fires when the lease is lost too, and what makes it fire. */
export function stoppable(signal: AbortSignal | undefined) {
  const lost = new AbortController();
  return {
    signal: signal === undefined ? lost.signal : AbortSignal.any([lost.signal, signal]),
    fail: (error: unknown) => lost.abort(error),
  };
}

/**
 * For a backup whose manifest is there: makes sure that all that it stands on is there too, and stays while it may still be
 * sealed. Being present is not enough: its writer may have been too late. BACKUP_UNKNOWN, BASE_GONE, OBJECT_DAMAGED,
 * LEASE_LOST.
 */
export async function confirmBackup(
  context: RepositoryContext,
  backupId: string,
  asked?: AbortSignal,
): Promise<BackupFigures> {
  const { signal, fail } = stoppable(asked);
  const { document } = await openManifest(context, backupId, signal);
  await using writing = await beginWriting(context, { signal, fail, generation: document.generation });
  await leanOnBackups(context, writing, [{ backupId, document }], "Cannot confirm a backup", signal);
  await writing.confirm();
  return document.figures;
}
