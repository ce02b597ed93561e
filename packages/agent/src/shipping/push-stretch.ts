import { StillpointError } from "@stillpoint/contracts/errors";
import { type LogRange, PUSHED, shippedBackupId } from "@stillpoint/contracts/log";
import { createTarWriter } from "@stillpoint/driver/tar-writer";
import type { TreeWriter } from "@stillpoint/driver/tree";
import { treeDigest } from "@stillpoint/driver/tree-digest";
import { sendTree } from "../send-tree.ts";
import type { VaultClient } from "../vault-client.ts";

export type Stretch = { range: LogRange; write: (tree: TreeWriter) => Promise<void> };

/**
 * Gives a closed stretch to the vault under a long-lived token; durable when it resolves. What is there already is not sent
 * again, and CONFLICT where that is something else.
 */
export async function pushStretch(
  client: Pick<VaultClient, "headBackup" | "putLog">,
  of: { plan: string; source: string },
  { range, write }: Stretch,
): Promise<"stored" | "there"> {
  const by = { ...of, fenceToken: PUSHED };
  const backupId = shippedBackupId(by, range);
  if ((await client.headBackup(backupId)) === undefined)
    try {
      await sendTree(
        write,
        (tar) => client.putLog(by, range, tar.stream),
        async () => undefined,
      );
      return "stored";
    } catch (error) {
      // Another gave it meanwhile: it is to be the same.
      if (!(error instanceof StillpointError) || error.code !== "OBJECT_EXISTS") throw error;
    }
  await client.headBackup(backupId, await digestOf(write));
  return "there";
}

async function digestOf(write: Stretch["write"]): Promise<string> {
  const tar = createTarWriter();
  const writing = write(tar).then(
    () => tar.end(),
    (error: unknown) => tar.fail(error),
  );
  const digest = await treeDigest(tar.stream);
  await writing;
  return digest;
}
