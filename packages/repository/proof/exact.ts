import type { Repository } from "../src/repository.ts";
import { digests, type Item, unpack } from "../test/trial.ts";

/** Restores a backup whole, and says what differs from what was written; undefined where it is exact. Throws what a restore throws. */
export async function difference(
  repository: Pick<Repository, "readBackup">,
  backupId: string,
  items: readonly Item[],
): Promise<string | undefined> {
  const [restored, written] = [digests(await unpack(repository.readBackup(backupId))), digests(items)];
  const at = written.findIndex((each, i) => restored[i] !== each);
  if (at >= 0) return `${backupId}: ${restored[at] ?? "nothing"} was restored in place of ${written[at]}`;
  return restored.length > written.length ? `${backupId}: ${restored[written.length]} was never written` : undefined;
}
