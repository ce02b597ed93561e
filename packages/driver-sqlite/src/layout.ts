import type { Mark } from "@stillpoint/contracts/point";
import type { LayoutStep } from "@stillpoint/driver/driver";
import type { TreeFile } from "@stillpoint/driver/tree";
import { markDetail } from "./mark-detail.ts";

/**
 * The trees laid over one another are what SQLite recovers by itself: a database and its log. What an earlier opening may
 * have left beside them is not part of it.
 */
export function layoutSqlite(files: readonly TreeFile[], mark: Mark): LayoutStep[] {
  const there = new Set(files.map((file) => file.path));
  return markDetail.parse(mark.detail).databases.flatMap(({ name }) =>
    ["-shm", "-journal"].flatMap((suffix): LayoutStep[] => {
      const path = `${name}${suffix}`;
      return there.has(path) ? [{ do: "remove", path }] : [];
    }),
  );
}
