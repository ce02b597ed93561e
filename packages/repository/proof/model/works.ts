import { StillpointError } from "@stillpoint/contracts/errors";
import { GARBAGE_SETTINGS } from "../../src/garbage/settings.ts";
import { openKeys } from "../../src/keys/key-context.ts";
import { beginEpoch, planEpoch } from "../../src/keys/new-epoch.ts";
import { rotateTo } from "../../src/keys/rotate-slot.ts";
import { pointOf } from "../../test/point-trial.ts";
import { head, tarOf } from "../../test/trial.ts";
import { difference } from "../exact.ts";
import { cheapOpener } from "../small-repository.ts";
import { trialSet } from "../trial-set.ts";
import type { Work } from "./begin-task.ts";
import type { ModelProcess } from "./model-process.ts";
import {
  type ModelBackup,
  type ModelPoint,
  mustRestore,
  orderDone,
  orderExistence,
  orderFailed,
} from "./model-state.ts";
import type { World } from "./world.ts";

/** Chooses one of many by the step's number, so that the same step chooses the same. */
export type Choose = <Item>(from: readonly Item[]) => Item | undefined;

// Results differ from kind to kind; `beginTask` hands each back to the work it is of.
// biome-ignore lint/suspicious/noExplicitAny: see above
export type AnyWork = Work<any>;
export type WorkKind = { kind: string; weight: number; make: (world: World, choose: Choose) => AnyWork | undefined };

const BY = { by: "the model" };
const BYTES = 8_000;
/** Sets are drawn from so few, so that backups lean on what others stored. */
const SETS = 12;
const MANY_POINTS = 8;

const points = (world: World, wanted: (point: ModelPoint) => boolean) =>
  [...world.state.points.values()].filter(wanted);

function write(world: World, made: ModelBackup): Work<unknown> {
  return {
    title: `backup ${made.id}`,
    run: async ({ repository }) => {
      try {
        return await repository.writeBackup(head(made.id), tarOf(made.items));
      } catch (error) {
        if (!(error instanceof StillpointError) || error.code !== "OBJECT_EXISTS") throw error;
        // An attempt before was further than its writer knew: what it left is looked at.
        return await repository.confirmBackup(made.id);
      }
    },
    done: () => {
      made.complete = true;
      return undefined;
    },
    mayFail: isOld(world, made.id) ? TOO_OLD : [],
  };
}

function backup(world: World, choose: Choose): Work<unknown> {
  const id = `backup-${world.next()}`;
  const items = trialSet(choose(Array.from({ length: SETS }, (_, i) => i)) ?? 0, BYTES);
  const made = { id, items, complete: false, atMs: world.primary.clock.nowMs };
  world.state.backups.set(id, made);
  return write(world, made);
}

function backupAgain(world: World, choose: Choose): Work<unknown> | undefined {
  const made = choose([...world.state.backups.values()].filter(({ complete }) => !complete));
  return made && write(world, made);
}

function sealing(world: World, made: ModelPoint): Work<unknown> {
  return {
    title: `seal ${made.pointId} of ${made.backups.join()}`,
    run: ({ repository }) => repository.sealPoint(pointOf(numberOf(made.pointId), [...made.backups])),
    done: () => {
      made.sealed = true;
      if (made.existence === "unsure") made.existence = "kept";
      return undefined;
    },
    mayFail: made.backups.some((id) => isOld(world, id)) ? TOO_OLD : [],
  };
}

const TOO_OLD = ["BASE_GONE", "BACKUP_UNKNOWN", "OBJECT_DAMAGED"];
const numberOf = (pointId: string) => Number(pointId.slice(-12));
/** By then it may be refused a seal. */
const SEALED_WITHIN_MS = 3 * 86_400_000;

function isOld(world: World, backupId: string): boolean {
  return world.primary.clock.nowMs - (world.state.backups.get(backupId)?.atMs ?? 0) >= SEALED_WITHIN_MS;
}

function seal(world: World, choose: Choose): Work<unknown> | undefined {
  const sealed = new Set([...world.state.points.values()].flatMap(({ backups }) => backups));
  const complete = [...world.state.backups.values()].filter((each) => each.complete && !sealed.has(each.id));
  const chosen = choose(complete);
  if (chosen === undefined) return undefined;
  const { pointId } = pointOf(world.next(), []);
  const made: ModelPoint = {
    pointId,
    backups: [chosen.id],
    sealed: false,
    existence: "unsure",
    holds: new Set(),
    orders: new Set(),
  };
  world.state.points.set(pointId, made);
  return sealing(world, made);
}

function sealAgain(world: World, choose: Choose): Work<unknown> | undefined {
  const made = choose(points(world, ({ sealed }) => !sealed));
  return made && sealing(world, made);
}

function restore(world: World, choose: Choose): Work<string | undefined> | undefined {
  const point = choose(points(world, mustRestore));
  const backup = point && choose(point.backups);
  const items = backup === undefined ? undefined : world.state.backups.get(backup)?.items;
  if (point === undefined || backup === undefined || items === undefined) return undefined;
  return {
    title: `restore ${backup}`,
    run: ({ repository }) => difference(repository, backup, items),
    done: (differs) => differs,
    mustSucceed: () => mustRestore(point),
  };
}

function check(): Work<{ problems: { object: string; why: string }[] }> {
  return {
    title: "check",
    run: ({ repository }) => repository.check({ readData: true }),
    done: () => undefined,
  };
}

function remove(world: World, choose: Choose): Work<void> | undefined {
  const point = choose(points(world, ({ existence }) => existence === "kept"));
  if (point === undefined) return undefined;
  const order = orderExistence(point, "deleted");
  point.deletedAtMs = world.primary.clock.nowMs;
  return {
    title: `delete ${point.pointId}`,
    run: ({ repository }) => repository.deletePoint(point.pointId, BY),
    done: () => {
      orderDone(point, order);
      return undefined;
    },
    // A hold is on it.
    mayFail: ["CONFLICT"],
    failed: (code) => orderFailed(point, order, code === "CONFLICT"),
  };
}

function undelete(world: World, choose: Choose): Work<void> | undefined {
  const point = choose(points(world, ({ sealed, existence }) => sealed && existence !== "kept"));
  if (point === undefined) return undefined;
  const order = orderExistence(point, "kept");
  return {
    title: `undelete ${point.pointId}`,
    run: ({ repository }) => repository.undeletePoint(point.pointId, BY),
    done: () => {
      orderDone(point, order);
      return undefined;
    },
    // For so long it can be undeleted with certainty, by who is not asleep over it.
    mustSucceed: (code) =>
      code !== "LEASE_LOST" && world.primary.clock.nowMs - (point.deletedAtMs ?? 0) < GARBAGE_SETTINGS.undeleteMs,
    mayFail: TOO_LATE,
    failed: (code) => orderFailed(point, order, TOO_LATE.includes(code)),
  };
}

const TOO_LATE = ["POINT_UNKNOWN", "BASE_GONE", "OBJECT_DAMAGED"];

function placeHold(world: World, choose: Choose): Work<{ holdId: string }> | undefined {
  const point = choose(points(world, ({ existence }) => existence === "kept"));
  if (point === undefined) return undefined;
  return {
    title: `hold ${point.pointId}`,
    run: ({ repository }) => repository.placeHold(point.pointId, { ...BY, reason: "the model asks" }),
    done: ({ holdId }) => {
      point.holds.add(holdId);
      return undefined;
    },
  };
}

function releaseHold(world: World, choose: Choose): Work<void> | undefined {
  const point = choose(points(world, ({ holds }) => holds.size > 0));
  const holdId = point && choose([...point.holds]);
  if (point === undefined || holdId === undefined) return undefined;
  // From the order on nobody may rely on it.
  point.holds.delete(holdId);
  return {
    title: `release the hold on ${point.pointId}`,
    run: ({ repository }) => repository.releaseHold(point.pointId, holdId, BY),
    done: () => undefined,
  };
}

function replicate(): Work<unknown> {
  return {
    title: "replicate",
    run: ({ repository, replica }) => repository.replicas.replicate(replica),
    done: () => undefined,
  };
}

function collect(): Work<unknown> {
  return {
    title: "collect garbage",
    // In so small a world index objects are never many: few are merged already.
    run: ({ repository }) => repository.collectGarbage({ settings: { mergeFrom: 3 } }),
    done: () => undefined,
    mayFail: ["ALREADY_RUNNING"],
  };
}

function sweepReplica(): Work<unknown> {
  return {
    title: "sweep the replica",
    run: ({ repository, replica }) => repository.replicas.sweep(replica, { graceMs: GARBAGE_SETTINGS.graceMs }),
    done: () => undefined,
  };
}

/** The two change their roles. */
function promote(world: World, choose: Choose): Work<unknown> | undefined {
  if (!world.isPromoting && choose([true, false, false]) !== true) return undefined;
  const { primary, replica } = world;
  world.isPromoting = true;
  return {
    title: `promote ${replica.store.url}`,
    run: (process) => process.repository.replicas.promote(process.replica, { ...BY, name: replica.store.url }),
    done: () => {
      // Of two who did it at once the first was enough.
      if (world.primary === primary) [world.primary, world.replica] = [replica, primary];
      world.isPromoting = false;
      return undefined;
    },
  };
}

async function keysOf({ store, random }: ModelProcess, world: World) {
  return openKeys(store, cheapOpener(), { random, now: () => world.primary.clock.nowMs, ...BY });
}

function rotate(world: World): Work<unknown> {
  return {
    title: "rotate the passphrase's slot",
    run: async (process) => rotateTo(await keysOf(process, world), cheapOpener()),
    done: () => undefined,
  };
}

function newEpoch(world: World): Work<unknown> {
  return {
    title: "begin a new key epoch",
    run: async (process) => {
      const keys = await keysOf(process, world);
      return await beginEpoch(keys, await planEpoch(keys, { openers: [keys.opener], without: [] }));
    },
    done: () => undefined,
  };
}

export const WORK_KINDS: readonly WorkKind[] = [
  { kind: "backup", weight: 10, make: backup },
  { kind: "backup again", weight: 2, make: backupAgain },
  { kind: "seal", weight: 10, make: seal },
  { kind: "seal again", weight: 2, make: sealAgain },
  { kind: "restore", weight: 4, make: restore },
  { kind: "check", weight: 1, make: check },
  {
    kind: "delete",
    weight: 8,
    make: (world, choose) =>
      world.state.points.size > MANY_POINTS || (choose([true, false, false]) ?? false)
        ? remove(world, choose)
        : undefined,
  },
  { kind: "undelete", weight: 3, make: undelete },
  { kind: "hold", weight: 2, make: placeHold },
  { kind: "release", weight: 2, make: releaseHold },
  { kind: "replicate", weight: 5, make: replicate },
  { kind: "collect", weight: 10, make: collect },
  { kind: "sweep the replica", weight: 3, make: sweepReplica },
  { kind: "new epoch", weight: 1, make: newEpoch },
  { kind: "rotate", weight: 2, make: rotate },
  { kind: "promote", weight: 4, make: promote },
];
