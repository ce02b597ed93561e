import type { Item } from "../../test/trial.ts";

export type ModelBackup = {
  id: string;
  items: readonly Item[];
  /** The writer answered: it must be there while its time for a seal is not over. */
  complete: boolean;
  /** When it was begun, by the storage's clock. */
  atMs: number;
};

/** What was said of a point, and whether it was answered: between an order and its answer both may be true. */
export type Existence = "kept" | "deleted" | "unsure";

export type ModelPoint = {
  pointId: string;
  backups: readonly string[];
  /** Its seal was answered: before that it may stand on what is gone, and nobody was told otherwise. */
  sealed: boolean;
  existence: Existence;
  /** When it was ordered to go, by the storage's clock. */
  deletedAtMs?: number;
  /** Ids of holds that were answered and not released since. */
  holds: Set<string>;
};

/** The simple truth beside the repository: what was answered, and what must therefore restore. */
export type ModelState = {
  backups: Map<string, ModelBackup>;
  points: Map<string, ModelPoint>;
};

export function mustRestore({ existence, holds }: ModelPoint): boolean {
  return existence === "kept" || holds.size > 0;
}
