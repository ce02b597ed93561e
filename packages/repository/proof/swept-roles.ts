import { StillpointError } from "@stillpoint/contracts/errors";
import type { ReplicateReport } from "../src/replicas/replicate.ts";
import type { Repository } from "../src/repository.ts";
import { trialId } from "../test/point-trial.ts";
import { difference } from "./exact.ts";
import { openSmall } from "./small-repository.ts";
import { addLoose, BY, LOOSE } from "./swept-changes.ts";
import { type Site, type SweptOperation, withRepository } from "./swept-operation.ts";
import { restoresFromReplica } from "./swept-replicas.ts";
import { trialSet } from "./trial-set.ts";

const ORDER = { ...BY, name: "replica" };

/** The replica has all but what came last. */
async function nearlyReplicated(site: Site): Promise<void> {
  await withRepository(site, async (repository) => {
    await repository.replicas.replicate(site.replica);
    await addLoose(repository);
  });
}

/** The primary was written to while it was cut off, and the replica was promoted without it. */
async function cutOff(site: Site): Promise<void> {
  await withRepository(site, async (repository) => void (await repository.replicas.replicate(site.replica)));
  await promoteAlone(site);
  await withRepository(site, addLoose);
}

function promoteAlone(site: Site): Promise<void> {
  return withRepository({ ...site, primary: site.replica }, async (repository) => {
    await repository.replicas.promoteAlone(ORDER);
  });
}

function assertCopied({ notCopied: [first] }: ReplicateReport): void {
  if (first !== undefined)
    throw new StillpointError("REPLICA_BEHIND", { what: "Not copied", where: first.object, why: first.why });
}

/** The replica is the primary, says so, and has everything. */
async function isPrimary(_: Repository, site: Site): Promise<string | undefined> {
  await using repository = await openSmall(site.replica, "promoted");
  const promotion = await repository.replicas.promotion();
  if (promotion?.target !== ORDER.name) return `${promotion?.target} is the primary by its own word`;
  return await restoresFromReplica(site);
}

async function hasAll(repository: Repository, site: Site): Promise<string | undefined> {
  await using promoted = await openSmall(site.replica, "with all");
  if ((await promoted.point(trialId(LOOSE))) === undefined) return "replica: the last point is not there";
  return (await difference(promoted, "loose", trialSet(LOOSE))) ?? (await isPrimary(repository, site));
}

const promote = (site: Site) =>
  withRepository(site, async (repository) => {
    await repository.replicas.promote(site.replica, ORDER);
  });

export const SWEPT_ROLES: readonly SweptOperation[] = [
  { title: "promote from", faultAt: "primary", prepare: nearlyReplicated, run: promote, verify: hasAll },
  { title: "promote to", faultAt: "replica", prepare: nearlyReplicated, run: promote, verify: hasAll },
  {
    title: "promote alone",
    faultAt: "replica",
    prepare: (site) =>
      withRepository(site, async (repository) => void (await repository.replicas.replicate(site.replica))),
    run: promoteAlone,
    verify: isPrimary,
  },
  {
    title: "take in",
    faultAt: "replica",
    prepare: cutOff,
    run: (site) =>
      withRepository(site, async (repository) => assertCopied(await repository.replicas.takeIn(site.replica))),
    verify: hasAll,
  },
];
