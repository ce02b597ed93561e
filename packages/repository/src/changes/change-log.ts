import { toInstant, uuidv7 } from "@stillpoint/contracts/names";
import { getDocument, putDocument } from "../documents-store.ts";
import { change } from "../format/documents.ts";
import { objectName } from "../format/kinds.ts";
import { OBJECT_IDS } from "../format/object-ids.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { type Change, type NewestChanges, newestChanges, type StoredChange } from "./newest.ts";

export type NewChange = Pick<Change, "change" | "object" | "by"> & {
  detail?: Change["detail"];
  /** A sequence that is taken elsewhere: this one is to count instead. */
  above?: number | undefined;
};
type LogContext = Pick<RepositoryContext, "store" | "ring" | "random" | "now">;

const READS_AT_ONCE = 16;
const FOLDER = objectName("changes", "");

/** Pure: the next id after an even one. */
function idAbove(id: string): string {
  return id.slice(0, -1) + (Number.parseInt(id.slice(-1), 16) | 1).toString(16);
}

/**
 * What was done to objects that never change themselves: each change is a further object that names the one it is about.
 * Changes are read once and kept, for they never change either.
 */
export function changeLog(context: LogContext) {
  const read = new Map<string, StoredChange>();

  /** All changes there are now, oldest first. */
  async function all(signal?: AbortSignal): Promise<StoredChange[]> {
    const listed = new Set<string>();
    const fresh: { id: string; storedMs: number }[] = [];
    for await (const { name, modifiedMs } of context.store.list(FOLDER, { signal })) {
      const id = name.slice(FOLDER.length);
      listed.add(id);
      if (!read.has(id)) fresh.push({ id, storedMs: modifiedMs });
    }
    for (const id of read.keys()) if (!listed.has(id)) read.delete(id);
    for (let at = 0; at < fresh.length; at += READS_AT_ONCE)
      await Promise.all(
        fresh.slice(at, at + READS_AT_ONCE).map(async ({ id, storedMs }) => {
          // One that was listed and is gone was outdated: the collector took it.
          const found = await getDocument(context, "changes", id, change, signal);
          if (found !== undefined) read.set(id, { ...found.document, storedMs });
        }),
      );
    return [...read.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, each]) => each);
  }

  /** Even, so that the next one is free for what settles it. */
  function newId(): string {
    const random = Uint8Array.from(context.random(10));
    random[9] = (random[9] ?? 0) & 0xfe;
    return uuidv7(context.now(), random);
  }

  async function put(document: Change): Promise<Change> {
    await putDocument(context, "changes", OBJECT_IDS.change(document.sequence, document.changeId), document);
    return document;
  }

  return {
    all,
    async newest(signal?: AbortSignal): Promise<NewestChanges> {
      return newestChanges(await all(signal));
    },
    /**
     * Behind every change that can be seen. Of two that are appended at once, the higher id counts, for everybody. Appending
     * again after a lost answer says the same thing twice, which changes nothing.
     */
    async append({ detail = {}, above = 0, ...rest }: NewChange): Promise<Change> {
      let last = above;
      for await (const { name } of context.store.list(FOLDER))
        last = Math.max(last, Number(name.slice(FOLDER.length).split("-", 1)[0]));
      return await put({ changeId: newId(), sequence: last + 1, ...rest, detail, at: toInstant(context.now()) });
    },
    /** Right above a change of one's own: it counts where that one would, and nothing can come between the two. Once. */
    async settle(of: Pick<Change, "sequence" | "changeId">, { detail = {}, ...rest }: Omit<NewChange, "above">) {
      const at = toInstant(context.now());
      return await put({ changeId: idAbove(of.changeId), sequence: of.sequence, ...rest, detail, at });
    },
  };
}
export type ChangeLog = ReturnType<typeof changeLog>;
