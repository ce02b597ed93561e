import { scryptSync } from "node:crypto";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { initRepository } from "../src/init-repository.ts";
import type { Opener } from "../src/keys/opener.ts";
import { passphraseOpener, type Stretch } from "../src/keys/passphrase.ts";
import { type OpenOptions, openRepository, type Repository } from "../src/repository.ts";
import { pointOf } from "../test/point-trial.ts";
import { head, type Item, NOW, PASSPHRASE, randomFrom, SMALL, tarOf } from "../test/trial.ts";
import { type HeldStore, heldStore } from "./held-store.ts";
import { trialSet } from "./trial-set.ts";

/** As cheap as a key slot may be: it is opened for each of many hundred trials. */
export const CHEAPEST = { n: 16, r: 8, p: 1 };

/** Stretches in this thread, so that the order of things is ours. */
export function cheapOpener(): Opener {
  const stretch: Stretch = async (passphrase, { n, r, p, salt }) =>
    scryptSync(passphrase, Buffer.from(salt, "hex"), 32, { N: n, r, p });
  return passphraseOpener(PASSPHRASE, { cost: CHEAPEST, stretch });
}

/** What was written to a repository, to compare with what it gives back. */
export type SmallRepository = {
  primary: HeldStore;
  replica: HeldStore;
  /** Backups of points that were sealed before anything went wrong. */
  sealed: ReadonlyMap<string, readonly Item[]>;
};

export async function makeSmall(store: ObjectStore, seed: string): Promise<void> {
  const random = randomFrom(seed);
  await initRepository(store, { opener: cheapOpener(), random, now: () => NOW, chunking: SMALL });
}

/** All work in this thread and all randomness from the seed, so that the calls of the store follow from it. */
export function openSmall(
  store: ObjectStore,
  seed: string,
  more: Pick<OpenOptions, "now" | "monotonicMs" | "index" | "leaseMs"> = {},
): Promise<Repository> {
  const own = { opener: cheapOpener(), threads: 0, random: randomFrom(seed), now: () => NOW };
  return openRepository(store, { ...own, ...more });
}

/** Points 1 to `points`, each of one backup that shares chunks with the others. */
export async function smallRepository(points: number): Promise<SmallRepository> {
  const primary = heldStore(NOW);
  await makeSmall(primary.store, "small repository");
  await using repository = await openSmall(primary.store, "base");
  const sealed = new Map<string, Item[]>();
  for (let n = 1; n <= points; n++) {
    const [id, items] = [`sealed-${n}`, trialSet(n)];
    await repository.writeBackup(head(id), tarOf(items));
    await repository.sealPoint(pointOf(n, [id]));
    sealed.set(id, items);
  }
  return { primary, replica: heldStore(NOW, new Map(), "memory:replica"), sealed };
}

export function copyOf({ primary, replica, sealed }: SmallRepository): SmallRepository {
  return { primary: primary.copy(), replica: replica.copy(), sealed };
}
