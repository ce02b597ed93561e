import type { StoredStretch } from "@stillpoint/contracts/vault";
import { extractTar } from "@stillpoint/driver/extract";
import type { LogPiece } from "@stillpoint/driver/recover";
import type { VaultClient } from "./vault-client.ts";
import { watched } from "./watched.ts";

/** Where the stretches of a log are read from: a running vault, or a repository itself. */
export type StretchReader = {
  /** Lays a closed stretch, or one file of it, over what is in a directory. */
  extract: (backupId: string, directory: string, path?: string) => Promise<void>;
  /** The bytes of one flush. */
  readTail: (id: string) => Promise<Uint8Array>;
};

/** A stored stretch, as a driver takes it. */
export function pieceFrom({ extract, readTail }: StretchReader, stretch: StoredStretch): LogPiece {
  const { range, bytes } = stretch;
  if (stretch.type === "tail") return { type: "tail", range, bytes, read: () => readTail(stretch.id) };
  return { type: "closed", range, bytes, extract: (...to) => extract(stretch.backupId, ...to) };
}

/** By what a vault gives; `progress`: bytes since the last call. */
export function vaultStretches(
  client: Pick<VaultClient, "getBackup" | "getTail">,
  progress: (bytes: number) => void = () => undefined,
): StretchReader {
  return {
    async extract(backupId, directory, path) {
      const tar = watched(client.getBackup(backupId, path), progress);
      await extractTar(tar, directory, { keepOwners: false, ...(path === undefined ? {} : { path }) });
    },
    async readTail(id) {
      const bytes = await client.getTail(id);
      progress(bytes.length);
      return bytes;
    },
  };
}
