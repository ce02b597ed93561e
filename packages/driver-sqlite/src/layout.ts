import type { Mark } from "@stillpoint/contracts/point";
import type { LayoutStep } from "@stillpoint/driver/driver";
import type { TreeFile } from "@stillpoint/driver/tree";
import { markDetail } from "./mark-detail.ts";
import { SINCE_DIRECTORY } from "./shipped-files.ts";

/**
 * The trees laid over one another are what SQLite recovers by itself: a database and its log. What an earlier opening may
 * have left beside them is not part of it. Of a point that rests on the shipped log the log since then is put beside its database,
 * and what the base has and the point does not name is not part of it either.
 */
export function layoutSqlite(files: readonly TreeFile[], mark: Mark): LayoutStep[] {
  const there = new Set(files.map((file) => file.path));
  const names = markDetail.parse(mark.detail).databases.map(({ name }) => name);
  const remove = (path: string): LayoutStep[] => (there.has(path) ? [{ do: "remove", path }] : []);
  const besides = names.flatMap((name) => [...remove(`${name}-shm`), ...remove(`${name}-journal`)]);
  if (mark.log === undefined) return besides;
  const kept = new Set(names.flatMap((name) => [name, `${name}-wal`]));
  const others = [...there].filter((path) => !path.startsWith(".stillpoint/") && !kept.has(path));
  const moves = names.flatMap((name): LayoutStep[] => {
    const from = `${SINCE_DIRECTORY}/${name}-wal`;
    return there.has(from) ? [{ do: "move", from, to: `${name}-wal` }] : [];
  });
  return [...others.flatMap(remove), ...moves, { do: "remove", path: SINCE_DIRECTORY }];
}
