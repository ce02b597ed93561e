import { StillpointError } from "@stillpoint/contracts/errors";
import type { BodilessEntry } from "@stillpoint/driver/tree";
import { getDocument } from "../documents-store.ts";
import { type Manifest, manifest } from "../format/documents.ts";
import { objectName } from "../format/kinds.ts";
import { chunksOf, encodeBlocks, encodePageHashes, type TreeItem, type TreeRecord } from "../format/tree-format.ts";
import type { Writing } from "../leases/writing.ts";
import { readTree } from "../read/read-tree.ts";
import type { RepositoryContext } from "../repository-context.ts";

export type UnchangedFile = Extract<BodilessEntry, { type: "unchanged" }>;
export type EarlierBackup = { backupId: string; document: Manifest };
/** A file's entry, and what follows it in a tree, as bytes. */
export type TakenFile = { record: Extract<TreeRecord, { type: "file" }>; items: Buffer[] };

export function baseGone(where: string, why: string, cause?: unknown): StillpointError {
  return new StillpointError("BASE_GONE", {
    what: "Cannot take files over from an earlier backup",
    where,
    why,
    hint: "the backup is made in full instead; nothing needs to be done",
    cause,
  });
}

/** The backup that files are taken over from. BASE_GONE where it is not there, or its chunks have names of an older key. */
export async function openEarlier(
  context: RepositoryContext,
  backupId: string,
  signal: AbortSignal,
): Promise<EarlierBackup> {
  const found = await getDocument(context, "backups", backupId, manifest, signal);
  if (found === undefined) throw baseGone(backupId, "the repository does not hold it any more");
  if (found.document.epoch !== context.ring.epochs.current) throw baseGone(backupId, "it is of an earlier key epoch");
  return { backupId, document: found.document };
}

/** Once the writer's lease is there: from now on nothing of the backup can go unseen. */
export function assertNotCondemned({ backupId }: EarlierBackup, objects: { has: (name: string) => boolean }): void {
  if (objects.has(objectName("backups", backupId))) throw baseGone(backupId, "the collector means to delete it");
}

/**
 * Files of an earlier backup, each asked for in the order in which it has them: its tree is read once, and never held. What
 * they stand on is leaned on; what of it is condemned, the writer copies before its manifest.
 */
export function earlierFiles(
  context: RepositoryContext,
  { backupId, document }: EarlierBackup,
  writing: Pick<Writing, "leans">,
  signal: AbortSignal,
) {
  const tree = readTree(context, backupId, document, signal);
  let next: TreeItem | undefined;
  const step = async () => {
    const read = await tree.next();
    next = read.done === true ? undefined : read.value;
  };
  let isOpen = false;

  function leanOn(item: TreeItem): void {
    for (const name of chunksOf(item)) {
      const location = context.index.leanOn(name) ?? context.index.locate(name);
      if (location === undefined) throw baseGone(backupId, `its chunk ${Buffer.from(name).toString("hex")} is gone`);
      writing.leans(location);
    }
  }

  /** The last word of the backup on the path that is next; undefined where it is none to rely on. */
  async function takeNext(path: string): Promise<TakenFile | undefined> {
    let taken: TakenFile | undefined;
    while (next?.item === "entry" && next.entry.path === path) {
      const { entry } = next;
      const bodies: TreeItem[] = [];
      await step();
      for (; next !== undefined && next.item !== "entry"; await step()) bodies.push(next);
      if (entry.type !== "file" || entry.offset !== undefined) taken = undefined;
      else {
        bodies.forEach(leanOn);
        const items = bodies.map((item) => {
          if (item.item === "blocks") return encodeBlocks(item.blocks);
          return encodePageHashes(item.item === "pageHashes" ? item.chunks : []);
        });
        taken = { record: entry, items };
      }
    }
    return taken;
  }

  return {
    /** BASE_GONE where the backup does not have this file, or not in this state. */
    async take({ path, size, mtimeMs, identity }: UnchangedFile): Promise<TakenFile> {
      if (!isOpen) await step();
      isOpen = true;
      while (next !== undefined && !(next.item === "entry" && next.entry.path === path)) await step();
      const taken = next === undefined ? undefined : await takeNext(path);
      if (taken === undefined) throw baseGone(backupId, `it does not hold ${path} where it should`);
      const { record } = taken;
      const isSame =
        record.size === size &&
        record.identity === identity &&
        // A tar's times go through decimal fractions.
        Math.round(record.mtimeMs) === Math.round(mtimeMs);
      if (!isSame) throw baseGone(backupId, `it holds ${path} in another state`);
      return taken;
    },
    close: () => tree.return(undefined),
  };
}
export type EarlierFiles = ReturnType<typeof earlierFiles>;
