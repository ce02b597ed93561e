import { GARBAGE_SETTINGS } from "../src/garbage/settings.ts";
import { trialId } from "../test/point-trial.ts";
import { addLoose, BY, LOOSE } from "./swept-changes.ts";
import { type Site, type SweptOperation, withRepository } from "./swept-operation.ts";
import { restoresFromReplica } from "./swept-replicas.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

export function pass({ base }: Site, ms: number): void {
  base.primary.clock.nowMs += ms;
  base.replica.clock.nowMs += ms;
}

/** A point that was deleted, and whose time for an undelete is over. */
async function deleteLoose(site: Site): Promise<void> {
  await withRepository(site, async (repository) => {
    await addLoose(repository);
    await repository.replicas.replicate(site.replica);
    await repository.deletePoint(trialId(LOOSE), BY);
  });
  pass(site, GARBAGE_SETTINGS.undeleteMs + DAY);
}

async function collect(site: Site): Promise<void> {
  // The lease of one that broke off has ended by then.
  pass(site, 2 * HOUR);
  await withRepository(site, async (repository) => {
    await repository.collectGarbage();
  });
}

async function condemnLoose(site: Site): Promise<void> {
  await deleteLoose(site);
  await collect(site);
  pass(site, GARBAGE_SETTINGS.graceMs + HOUR);
}

const isThere = async ({ primary }: Site) => (await primary.head("backups/loose")) !== undefined;

export const SWEPT_GARBAGE: readonly SweptOperation[] = [
  {
    title: "condemn",
    faultAt: "primary",
    prepare: deleteLoose,
    run: collect,
    verify: async (_, site) => ((await isThere(site)) ? undefined : "something went before its time"),
  },
  {
    title: "collect",
    faultAt: "primary",
    prepare: condemnLoose,
    run: collect,
    // What was not listed was not deleted; it is condemned anew, and has its grace again.
    inTime: async (site) => {
      pass(site, GARBAGE_SETTINGS.graceMs);
      await collect(site);
    },
    verify: async (_, site) => ((await isThere(site)) ? "what is due is still there" : undefined),
  },
  {
    title: "sweep a replica",
    faultAt: "replica",
    prepare: async (site) => {
      await condemnLoose(site);
      await collect(site);
      await withRepository(site, async (repository) => {
        await repository.replicas.sweep(site.replica, { graceMs: GARBAGE_SETTINGS.graceMs });
      });
      pass(site, GARBAGE_SETTINGS.graceMs + HOUR);
    },
    run: (site) =>
      withRepository(site, async (repository) => {
        await repository.replicas.sweep(site.replica, { graceMs: GARBAGE_SETTINGS.graceMs });
      }),
    verify: (_, site) => restoresFromReplica(site),
  },
];
