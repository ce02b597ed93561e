import { StillpointError } from "@stillpoint/contracts/errors";
import { getDocument, type OpenedDocument } from "../documents-store.ts";
import { type Manifest, manifest } from "../format/documents.ts";
import { objectName } from "../format/kinds.ts";
import { decodeTreeItems, type TreeItem } from "../format/tree-format.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { type Request, readAhead } from "./read-ahead.ts";

export async function openManifest(
  context: RepositoryContext,
  backupId: string,
  signal?: AbortSignal,
): Promise<OpenedDocument<Manifest>> {
  const found = await getDocument(context, "backups", backupId, manifest, signal, { mustExist: true });
  if (found !== undefined) return found;
  throw new StillpointError("BACKUP_UNKNOWN", {
    what: "Cannot read a backup",
    where: backupId,
    why: "the repository holds none of this id",
    hint: "list what there is: stillpoint points",
  });
}

/** For who reads what the backup holds: one that was read for its log is not read again. */
export async function manifestToRead(
  context: RepositoryContext,
  backupId: string,
  signal?: AbortSignal,
): Promise<Pick<OpenedDocument<Manifest>, "document">> {
  const document = context.logs.manifestOf(backupId);
  return document === undefined ? await openManifest(context, backupId, signal) : { document };
}

async function* treeRequests({ tree }: Manifest): AsyncGenerator<Request<undefined>> {
  for (const name of tree) yield { chunk: Buffer.from(name, "hex"), what: undefined };
}

/** A backup's tree in the tar's order. */
export async function* readTree(
  context: RepositoryContext,
  backupId: string,
  document: Manifest,
  signal?: AbortSignal,
): AsyncGenerator<TreeItem> {
  const where = objectName("backups", backupId);
  for await (const { bytes } of readAhead(context, where, treeRequests(document), { signal }))
    if (bytes !== undefined) yield* decodeTreeItems(where, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
}
