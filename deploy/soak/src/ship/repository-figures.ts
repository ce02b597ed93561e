import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { isWithinJoined, joinedRanges } from "@stillpoint/repository/log/source-log";
import type { Repository } from "@stillpoint/repository/repository";

export type RepositoryFigures = {
  objects: number;
  bytes: number;
  /** By kind. */
  kinds: Readonly<Record<string, number>>;
  tails: number;
  /** Tails that a closed stretch has held for longer than the collector may take. */
  overdue: number;
};

const TAIL = /^tails\/([^/]+)\/([^/]+)\/([^/-]+)-([^/-]+)-[^/]+$/;

/** What lies in the repository now. `lateMs`: what a closed stretch supersedes is to be gone so long after it was stored. */
export async function repositoryFigures(
  store: ObjectStore,
  repository: Repository,
  plan: string,
  sources: readonly string[],
  lateMs: number,
): Promise<RepositoryFigures> {
  const nowMs = await store.now();
  const closed = new Map<string, { joined: ReturnType<typeof joinedRanges>; sinceMs: number }[]>();
  for (const source of sources) {
    const log = await repository.sourceLog({ plan, source });
    const old = log.closed.filter(({ storedMs }) => storedMs < nowMs - lateMs);
    closed.set(source, [{ joined: joinedRanges(old.map(({ range }) => range)), sinceMs: nowMs - lateMs }]);
  }
  const kinds: Record<string, number> = {};
  let [objects, bytes, overdue] = [0, 0, 0];
  for await (const { name, size, modifiedMs } of store.list("")) {
    const kind = name.slice(0, name.indexOf("/"));
    kinds[kind] = (kinds[kind] ?? 0) + 1;
    objects += 1;
    bytes += size;
    const [, source = "", stream = "", from = "", to = ""] = TAIL.exec(name) ?? [];
    const isHeld = closed
      .get(source)
      ?.some(({ joined, sinceMs }) => modifiedMs < sinceMs && isWithinJoined(joined, { stream, from, to }));
    if (isHeld) overdue += 1;
  }
  return { objects, bytes, kinds, tails: kinds.tails ?? 0, overdue };
}
