import { StillpointError } from "@stillpoint/contracts/errors";
import type { Repository } from "../src/repository.ts";
import { pointOf } from "../test/point-trial.ts";
import { head, tarOf } from "../test/trial.ts";
import { difference } from "./exact.ts";
import { makeSmall, openSmall } from "./small-repository.ts";
import { SWEPT_CHANGES } from "./swept-changes.ts";
import { SWEPT_GARBAGE } from "./swept-garbage.ts";
import { SWEPT_KEYS } from "./swept-keys.ts";
import { type SweptOperation, withRepository, wrong } from "./swept-operation.ts";
import { SWEPT_REPAIR } from "./swept-repair.ts";
import { SWEPT_REPLICAS } from "./swept-replicas.ts";
import { SWEPT_ROLES } from "./swept-roles.ts";
import { trialSet } from "./trial-set.ts";

const NEW = trialSet(77);

/** Writes the backup, or finds that an attempt before did. */
async function backUp(repository: Repository): Promise<void> {
  await repository.writeBackup(head("new"), tarOf(NEW)).catch((error: unknown) => {
    if (!(error instanceof StillpointError) || error.code !== "OBJECT_EXISTS") throw error;
  });
}

const verifyNew = (repository: Repository) => difference(repository, "new", NEW);

export const SWEPT_OPERATIONS: readonly SweptOperation[] = [
  {
    title: "init",
    faultAt: "replica",
    // An attempt that broke off is taken up; one whose last answer was lost is there already.
    run: async ({ replica, seed }) => {
      if ((await replica.head("config")) === undefined) await makeSmall(replica, seed);
    },
    verify: async (_, { replica }) => {
      await using repository = await openSmall(replica, "verify");
      await backUp(repository);
      return await verifyNew(repository);
    },
  },
  { title: "backup", faultAt: "primary", run: (site) => withRepository(site, backUp), verify: verifyNew },
  {
    title: "restore",
    faultAt: "primary",
    run: (site) =>
      withRepository(site, async (repository) => {
        for (const [id, items] of site.base.sealed) {
          const differs = await difference(repository, id, items);
          if (differs !== undefined) throw wrong(differs);
        }
      }),
    verify: async () => undefined,
  },
  {
    title: "check",
    faultAt: "primary",
    run: (site) =>
      withRepository(site, async (repository) => {
        await repository.check({ readData: true });
      }),
    verify: async () => undefined,
  },
  {
    title: "seal",
    faultAt: "primary",
    prepare: (site) => withRepository(site, backUp),
    run: (site) =>
      withRepository(site, async (repository) => {
        await repository.sealPoint(pointOf(50, ["new"]));
      }),
    verify: async (repository) => {
      const point = await repository.point(pointOf(50, ["new"]).pointId);
      return point === undefined ? "the point is not there" : await verifyNew(repository);
    },
  },
  ...SWEPT_CHANGES,
  ...SWEPT_REPLICAS,
  ...SWEPT_ROLES,
  ...SWEPT_REPAIR,
  ...SWEPT_GARBAGE,
  ...SWEPT_KEYS,
];
