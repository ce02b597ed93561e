import { StillpointError } from "@stillpoint/contracts/errors";
import type { Repository } from "../src/repository.ts";
import { difference } from "./exact.ts";
import { openSmall } from "./small-repository.ts";
import { type Site, type SweptOperation, withRepository } from "./swept-operation.ts";

/** Copies until nothing is behind, as a schedule would; what cannot be copied is a failure here. */
async function replicate(site: Site): Promise<void> {
  await withRepository(site, async (repository) => {
    const { notCopied } = await repository.replicas.replicate(site.replica);
    const [first] = notCopied;
    if (first !== undefined)
      throw new StillpointError("REPLICA_BEHIND", { what: "Not copied", where: first.object, why: first.why });
  });
}

/** The replica alone gives everything back. */
export async function restoresFromReplica({ replica, base }: Site): Promise<string | undefined> {
  await using repository: Repository = await openSmall(replica, "verify");
  const { problems } = await repository.check({ readData: true });
  const [first] = problems;
  if (first !== undefined) return `replica: ${first.object}: ${first.why}`;
  for (const [id, items] of base.sealed) {
    const differs = await difference(repository, id, items);
    if (differs !== undefined) return `replica: ${differs}`;
  }
  return undefined;
}

const verify = (_: Repository, site: Site) => restoresFromReplica(site);

export const SWEPT_REPLICAS: readonly SweptOperation[] = [
  { title: "replicate from", faultAt: "primary", run: replicate, verify },
  { title: "replicate to", faultAt: "replica", run: replicate, verify },
];
