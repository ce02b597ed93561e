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

/** `crossed`: one that wants the opposite was under way meanwhile, and either of them may have come last. */
export type ExistenceOrder = { wants: "kept" | "deleted"; before: Existence; crossed: boolean; alone: boolean };

export type ModelPoint = {
  pointId: string;
  backups: readonly string[];
  /** Its seal was answered: before that it may stand on what is gone, and nobody was told otherwise. */
  sealed: boolean;
  existence: Existence;
  /** When it was ordered to go, by the storage's clock. */
  deletedAtMs?: number;
  /** Orders to delete or undelete it that are under way. */
  orders: Set<ExistenceOrder>;
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

export function orderExistence(point: ModelPoint, wants: ExistenceOrder["wants"]): ExistenceOrder {
  const others = [...point.orders];
  const crossed = others.some((each) => each.wants !== wants);
  const order = { wants, before: point.existence, crossed, alone: others.length === 0 };
  for (const each of others) {
    each.alone = false;
    each.crossed ||= each.wants !== wants;
  }
  point.orders.add(order);
  point.existence = "unsure";
  return order;
}

export function orderDone(point: ModelPoint, order: ExistenceOrder): void {
  point.orders.delete(order);
  if (!order.crossed) point.existence = order.wants;
}

/** `refused`: before anything was said. What another order came to meanwhile stays as it is. */
export function orderFailed(point: ModelPoint, order: ExistenceOrder, refused: boolean): void {
  point.orders.delete(order);
  if (order.alone && refused) point.existence = order.before;
}
