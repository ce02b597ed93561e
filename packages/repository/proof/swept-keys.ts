import { openKeys } from "../src/keys/key-context.ts";
import { beginEpoch, planEpoch } from "../src/keys/new-epoch.ts";
import { passphraseOpener } from "../src/keys/passphrase.ts";
import { openedBy, rotateTo } from "../src/keys/rotate-slot.ts";
import { knownSlots } from "../src/keys/slot-states.ts";
import type { Repository } from "../src/repository.ts";
import { head, NOW, PASSPHRASE, randomFrom, tarOf } from "../test/trial.ts";
import { difference } from "./exact.ts";
import { CHEAPEST } from "./small-repository.ts";
import type { Site, SweptOperation } from "./swept-operation.ts";
import { trialSet } from "./trial-set.ts";

const opener = () => passphraseOpener(PASSPHRASE, { cost: CHEAPEST });

function keysOf({ primary, seed }: Pick<Site, "primary" | "seed">) {
  return openKeys(primary, opener(), { random: randomFrom(`${seed} keys`), now: () => NOW, by: "the sweep" });
}

/** The repository takes a backup and gives it back, under whatever key it has now. */
async function stillWorks(repository: Repository): Promise<string | undefined> {
  const items = trialSet(88);
  await repository.writeBackup(head("under-the-new-key"), tarOf(items));
  return difference(repository, "under-the-new-key", items);
}

export const SWEPT_KEYS: readonly SweptOperation[] = [
  {
    title: "rotate",
    faultAt: "primary",
    run: async (site) => {
      await rotateTo(await keysOf(site), opener());
    },
    verify: async (repository, site) => {
      const context = await keysOf({ ...site, seed: "verify" });
      const { length } = await openedBy(context, opener());
      if (length !== 1) return `${length} active slots are of the passphrase that was rotated`;
      return stillWorks(repository);
    },
  },
  {
    title: "new epoch",
    faultAt: "primary",
    run: async (site) => {
      const context = await keysOf(site);
      await beginEpoch(context, await planEpoch(context, { openers: [], without: [] }));
    },
    verify: async (repository, site) => {
      if (repository.epoch < 2) return `the newest epoch is ${repository.epoch}`;
      const { slots } = await knownSlots(await keysOf({ ...site, seed: "verify" }));
      const old = slots.filter(({ state }) => state === "earlier" || state === "retired");
      if (old.length > 0) return `${old.length} slots of the epoch before are there still`;
      return stillWorks(repository);
    },
  },
];
