import { StillpointError } from "@stillpoint/contracts/errors";
import type { ObjectInfo } from "@stillpoint/object-store/object-store";
import { objectName } from "../format/kinds.ts";
import { isWithinJoined, joinedRanges, overlapsJoined } from "../log/source-log.ts";
import type { RepositoryContext } from "../repository-context.ts";
import type { Roots } from "./read-roots.ts";
import { mayBeLaidOver } from "./roots.ts";

const READS_AT_ONCE = 16;
const FOLDER = objectName("tails", "");

/**
 * Tails that may go: their range is in closed stretches that are kept and can be read, or no base that is kept for any moment
 * needs it. Whose a tail is, its head alone says, so that of two plans with a source of one name neither decides for the other.
 * One that cannot be read stays: what it held may be nowhere else.
 */
export async function* unneededTails(
  context: RepositoryContext,
  { bases, closed, points }: Roots["log"],
  broken: readonly string[],
  signal?: AbortSignal,
): AsyncGenerator<ObjectInfo> {
  const unread = new Set(broken);
  const readable = closed.filter(({ backupId }) => !unread.has(backupId));
  const held = new Map(
    [...Map.groupBy(readable, ({ source }) => source)].map(([source, logs]) => [
      source,
      joinedRanges(logs.flatMap(({ range }) => range ?? [])),
    ]),
  );
  const names = new Set([...bases.keys(), ...held.keys()].map((source) => source.slice(source.indexOf("/") + 1)));

  async function isUnneeded({ name, modifiedMs }: ObjectInfo): Promise<boolean> {
    const id = name.slice(FOLDER.length);
    if (!names.has(id.slice(0, id.indexOf("/")))) return false;
    try {
      const head = await context.logs.headOf(context, id, signal);
      if (head === undefined) return false;
      const source = `${head.plan}/${head.source}`;
      const base = bases.get(source);
      const joined = held.get(source);
      if (joined !== undefined && isWithinJoined(joined, head)) return true;
      const restedOn = points.get(source);
      if (restedOn === "all" || (restedOn !== undefined && overlapsJoined(restedOn, head))) return false;
      return base !== undefined && !mayBeLaidOver(base, { range: head, storedMs: modifiedMs });
    } catch (error) {
      if (error instanceof StillpointError && error.code === "OBJECT_DAMAGED") return false;
      throw error;
    }
  }

  let some: ObjectInfo[] = [];
  const decided = async () => {
    const verdicts = await Promise.all(some.map(isUnneeded));
    const unneeded = some.filter((_, at) => verdicts[at]);
    some = [];
    return unneeded;
  };
  for await (const each of context.store.list(FOLDER, { signal })) {
    some.push(each);
    if (some.length >= READS_AT_ONCE) yield* await decided();
  }
  yield* await decided();
}
