import { toInstant } from "@stillpoint/contracts/names";
import { objectName } from "../format/kinds.ts";
import type { NewestChanges } from "./newest.ts";

/** `at` by the storage's clock: the time for an undelete is counted from it. */
export type Deletion = { at: string; atMs: number; by: string; reason: string | undefined };

/** Pure: how a point was deleted, where the newest word on it is that it was. */
export function deletionOf(newest: NewestChanges, pointId: string): Deletion | undefined {
  const found = newest.of("existence", objectName("points", pointId));
  if (found?.change !== "delete") return undefined;
  const { reason } = found.detail;
  return {
    at: toInstant(found.storedMs),
    atMs: found.storedMs,
    by: found.by,
    reason: typeof reason === "string" ? reason : undefined,
  };
}
