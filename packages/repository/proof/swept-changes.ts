import { keepRule } from "@stillpoint/contracts/keep";
import { policyOf } from "@stillpoint/retention/policy";
import type { Repository } from "../src/repository.ts";
import { applyRetention, planRetention } from "../src/retention/retention-plan.ts";
import { pointOf, trialId } from "../test/point-trial.ts";
import { head, tarOf } from "../test/trial.ts";
import type { Site, SweptOperation } from "./swept-operation.ts";
import { withRepository } from "./swept-operation.ts";
import { trialSet } from "./trial-set.ts";

export const BY = { by: "the sweep" };
/** A point on a backup of its own, which may go. */
export const LOOSE = 60;

export async function addLoose(repository: Repository): Promise<void> {
  await repository.writeBackup(head("loose"), tarOf(trialSet(LOOSE)));
  await repository.sealPoint(pointOf(LOOSE, ["loose"]));
}

async function stateOf(repository: Repository, n: number) {
  for await (const state of repository.pointStates()) if (state.point.pointId === trialId(n)) return state;
  return undefined;
}

const KEEPS_ONE = policyOf(keepRule.parse({ points: { last: 1 }, minimum: 1 }), "UTC");

async function retain(site: Site): Promise<void> {
  await withRepository(site, async (repository) => {
    const plan = await planRetention(repository, "shop", KEEPS_ONE);
    await applyRetention(repository, plan, KEEPS_ONE, BY);
  });
}

/** What people and policies say of points. */
export const SWEPT_CHANGES: readonly SweptOperation[] = [
  {
    title: "delete",
    faultAt: "primary",
    prepare: (site) => withRepository(site, addLoose),
    run: (site) => withRepository(site, (repository) => repository.deletePoint(trialId(LOOSE), BY)),
    verify: async (repository) =>
      (await stateOf(repository, LOOSE))?.deletion === undefined ? "the point is not deleted" : undefined,
  },
  {
    title: "undelete",
    faultAt: "primary",
    prepare: (site) =>
      withRepository(site, async (repository) => {
        await addLoose(repository);
        await repository.deletePoint(trialId(LOOSE), BY);
      }),
    run: (site) => withRepository(site, (repository) => repository.undeletePoint(trialId(LOOSE), BY)),
    verify: async (repository) =>
      (await repository.point(trialId(LOOSE))) === undefined ? "the point is not there" : undefined,
  },
  {
    title: "hold",
    faultAt: "primary",
    run: (site) =>
      withRepository(site, async (repository) => {
        await repository.placeHold(trialId(1), { ...BY, reason: "swept" });
      }),
    verify: async (repository) =>
      (await stateOf(repository, 1))?.holds.length === 0 ? "the point is not held" : undefined,
  },
  {
    title: "retention",
    faultAt: "primary",
    prepare: (site) => withRepository(site, addLoose),
    run: retain,
    verify: async (repository) => {
      const left = (await Array.fromAsync(repository.points())).length;
      return left === 1 ? undefined : `${left} points are left in place of 1`;
    },
  },
];
