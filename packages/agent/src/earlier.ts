import { StillpointError } from "@stillpoint/contracts/errors";
import { readTar } from "@stillpoint/driver/tar-reader";
import type { Earlier } from "@stillpoint/driver/tree";

/** Files of a source's backups, as the last of them that has one holds it. */
export function earlierBy(
  client: { getBackup: (backupId: string, path: string) => AsyncIterable<Uint8Array> },
  backups: readonly string[],
): Earlier {
  return {
    async *read(path) {
      for (const backupId of backups.toReversed()) {
        try {
          for await (const { entry, body } of readTar(client.getBackup(backupId, path))) {
            if (entry.path !== path || entry.type !== "file") continue;
            yield* body;
            return;
          }
        } catch (error) {
          if (!(error instanceof StillpointError && error.code === "NOT_FOUND")) throw error;
        }
      }
      throw new StillpointError("NOT_FOUND", { what: "The point before does not hold a file", where: path });
    },
  };
}
