import { vaultClient } from "@stillpoint/agent/vault-client";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { Point } from "@stillpoint/contracts/point";
import { queryPoints } from "@stillpoint/contracts/queries";
import { vaultPoint, vaultTicket } from "@stillpoint/contracts/vault";
import { openObjectStore } from "@stillpoint/object-store/open-object-store";
import { openRepository } from "@stillpoint/repository/repository";
import { type KeyOptions, openerOf } from "./key/key-options.ts";
import { reachBus } from "./reach.ts";
import type { World } from "./world.ts";

/** Where a restore gets its point and bytes from: a running vault, or the repository itself. */
export type PointReader = AsyncDisposable & {
  /** By id, or the newest whole one; of a plan where one is named. */
  find: (pointId: string | undefined, plan: string | undefined) => Promise<Point>;
  read: (point: Point, backupId: string, path: string | undefined) => AsyncIterable<Uint8Array>;
};

export async function repositoryReader(world: World, url: string, key: KeyOptions): Promise<PointReader> {
  await using opening = new AsyncDisposableStack();
  const store = opening.use(await openObjectStore(url, { environment: world.environment }));
  const repository = opening.use(await openRepository(store, { opener: await openerOf(world, key) }));
  const opened = opening.move();
  return {
    async find(pointId, plan) {
      if (pointId !== undefined) return (await repository.point(pointId)) ?? unknownPoint(pointId);
      let newest: Point | undefined;
      for await (const point of repository.points()) {
        if (point.partial || (plan !== undefined && point.plan !== plan)) continue;
        if (newest === undefined || point.cut.at > newest.cut.at) newest = point;
      }
      return newest ?? unknownPoint(plan ?? "any plan");
    },
    read: (_, backupId, path) =>
      repository.readBackup(backupId, { signal: world.signal, ...(path === undefined ? {} : { path }) }),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

export async function vaultReader(world: World): Promise<PointReader> {
  const bus = await reachBus(world);
  const patience = { timeoutMs: 10_000 };
  return {
    async find(pointId, plan) {
      if (pointId !== undefined) return (await bus.request(vaultPoint, {}, { pointId }, patience)).point;
      const { points } = await bus.request(queryPoints, {}, plan === undefined ? {} : { plan }, patience);
      return points.find(({ point }) => !point.partial)?.point ?? unknownPoint(plan ?? "any plan");
    },
    async *read(point, backupId, path) {
      const claims = { purpose: "restore" as const, pointId: point.pointId, backups: [backupId] };
      const { vaultUrl, ticket } = await bus.request(vaultTicket, {}, claims, patience);
      yield* vaultClient(vaultUrl, ticket, world.signal).getBackup(backupId, path);
    },
    [Symbol.asyncDispose]: () => bus[Symbol.asyncDispose](),
  };
}

function unknownPoint(where: string): never {
  throw new StillpointError("POINT_UNKNOWN", {
    what: "There is no such recovery point",
    where,
    hint: "see `stillpoint points`",
  });
}
