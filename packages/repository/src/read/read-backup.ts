import { StillpointError } from "@stillpoint/contracts/errors";
import { toTarHeader } from "@stillpoint/driver/tar-entry";
import { isWithin } from "@stillpoint/driver/tree-path";
import { objectDamaged } from "../format/damage.ts";
import type { Manifest } from "../format/documents.ts";
import { objectName } from "../format/kinds.ts";
import { bodyLengthOf, type TreeRecord } from "../format/tree-format.ts";
import { toEntry } from "../format/tree-record.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { type Request, readAhead } from "./read-ahead.ts";
import { manifestToRead, readTree } from "./read-tree.ts";
import { paddingOf, TAR_END, tarHeader } from "./tar-header.ts";

export type ReadOptions = {
  /** A file, or a directory with all below it. Absent: everything. */
  path?: string | undefined;
  signal?: AbortSignal | undefined;
};

export type TarOptions = ReadOptions & {
  /** Each piece is looked at only until the next is asked for: its memory is used again. */
  lent?: boolean;
};

/** What is to be put out: bytes as they are, or a piece of the chunk that was asked for. */
type Output = { bytes: Uint8Array } | { offset: number; length: number };

/** Whether an entry belongs to what was asked for; the deletion of a directory above it does too. */
function belongs(record: TreeRecord, path: string | undefined): boolean {
  if (path === undefined || isWithin(record.path, path)) return true;
  return record.type === "deleted" && isWithin(path, record.path);
}

/** A path as trees have it; undefined for all. */
export function normalPath(path: string | undefined): string | undefined {
  const parts = path?.split("/").filter((part) => part !== "" && part !== ".") ?? [];
  return parts.length === 0 ? undefined : parts.join("/");
}

export function pathMissing(path: string, backupId: string): StillpointError {
  return new StillpointError("NOT_FOUND", {
    what: "Cannot read from a backup",
    where: `${path} in ${backupId}`,
    why: "there is no such path in it",
  });
}

async function* outputs(
  context: RepositoryContext,
  backupId: string,
  document: Manifest,
  { path, signal }: ReadOptions,
): AsyncGenerator<Request<Output>> {
  const where = objectName("backups", backupId);
  let open: { record: TreeRecord; left: number; wanted: boolean } | undefined;
  let found = false;
  const close = function* (): Generator<Request<Output>> {
    if (open !== undefined && open.left !== 0)
      throw objectDamaged(where, `${open.record.path} has not all of its blocks`);
    const padding = open?.wanted ? paddingOf(bodyLengthOf(open.record)) : 0;
    if (padding > 0) yield { what: { bytes: new Uint8Array(padding) } };
  };
  for await (const item of readTree(context, backupId, document, signal)) {
    if (item.item === "entry") {
      yield* close();
      open = { record: item.entry, left: bodyLengthOf(item.entry), wanted: belongs(item.entry, path) };
      found ||= path === undefined || isWithin(item.entry.path, path);
      if (open.wanted) yield { what: { bytes: tarHeader(toTarHeader(toEntry(item.entry))) } };
      continue;
    }
    if (item.item === "pageHashes") continue;
    for (const { chunk, offset, length } of item.blocks.flat()) {
      if (open !== undefined) open.left -= length;
      if (open?.wanted) yield { chunk, length, what: { offset, length } };
    }
  }
  yield* close();
  if (path !== undefined && !found) throw pathMissing(path, backupId);
  yield { what: { bytes: TAR_END } };
}

/** A backup, or a part of it, as the tar that it came as: same entries, same order, same keys, same bytes. */
export async function* readBackup(
  context: RepositoryContext,
  backupId: string,
  options: TarOptions = {},
): AsyncGenerator<Uint8Array> {
  const { document } = await manifestToRead(context, backupId, options.signal);
  const where = objectName("backups", backupId);
  const wanted = outputs(context, backupId, document, { ...options, path: normalPath(options.path) });
  for await (const { what, bytes } of readAhead(context, where, wanted, options)) {
    if ("bytes" in what) yield what.bytes;
    else if (bytes === undefined || what.offset + what.length > bytes.length)
      throw objectDamaged(where, "an extent passes the end of its chunk");
    else yield bytes.subarray(what.offset, what.offset + what.length);
  }
}
