import { createHash } from "node:crypto";
import { toInstant } from "@stillpoint/contracts/names";
import { objectDamaged } from "../src/format/damage.ts";
import { planRepair } from "../src/repair/repair-plan.ts";
import { NOW, namesIn } from "../test/trial.ts";
import { pass } from "./swept-garbage.ts";
import { type Site, type SweptOperation, withRepository } from "./swept-operation.ts";

const HOUR = 3_600_000;

/** A byte of a pack's own list is not what was written: every chunk of it is whole. */
async function damaged(site: Site): Promise<void> {
  await withRepository(site, async (repository) => void (await repository.replicas.replicate(site.replica)));
  const [pack = ""] = await namesIn(site.primary, "packs/");
  const bytes = Uint8Array.from(await site.primary.get(pack));
  const at = bytes.length - 30;
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  await site.primary.put(pack, bytes);
}

async function repair(site: Site, withReplica: boolean): Promise<void> {
  // The claim of one that broke off has ended by then.
  pass(site, 2 * HOUR);
  await withRepository(site, async (repository) => {
    const found = await repository.check({ readData: true });
    const of = { repositoryId: repository.id, url: site.primary.url, madeAt: toInstant(NOW) };
    const { results } = await repository.repair(planRepair(found, of), withReplica ? { replicas: [site.replica] } : {});
    const left = results.find(({ outcome }) => outcome === "lost" || outcome === "retained");
    if (left !== undefined) throw objectDamaged(left.object, left.detail);
  });
}

/** The damaged bytes are in quarantine as they were; or where they lay, which no index lists any more. */
async function isNothingLost({ primary, replica }: Site): Promise<string | undefined> {
  for (const name of await namesIn(primary, "quarantine/")) {
    const [, sha256] = name.split("/");
    const bytes = await primary.get(name);
    if (createHash("sha256").update(bytes).digest("hex") === sha256) return undefined;
  }
  const sound = await namesIn(replica, "packs/");
  for (const name of await namesIn(primary, "packs/"))
    if (sound.includes(name) && Buffer.compare(await primary.get(name), await replica.get(name)) !== 0)
      return undefined;
  return "the damaged bytes are nowhere";
}

export const SWEPT_REPAIR: readonly SweptOperation[] = [
  {
    title: "repair",
    faultAt: "primary",
    prepare: damaged,
    run: (site) => repair(site, true),
    verify: (_, site) => isNothingLost(site),
  },
  {
    title: "salvage",
    faultAt: "primary",
    prepare: damaged,
    run: (site) => repair(site, false),
    verify: (_, site) => isNothingLost(site),
  },
];
