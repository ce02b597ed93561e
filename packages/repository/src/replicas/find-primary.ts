import { StillpointError } from "@stillpoint/contracts/errors";
import type { Secret } from "@stillpoint/contracts/secret";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { changeLog } from "../changes/change-log.ts";
import { isNewer } from "../changes/newest.ts";
import { openKeyRing } from "../keys/key-ring.ts";
import type { Opener } from "../keys/opener.ts";
import { isMeant, newestPromotion, type Promotion } from "./primary.ts";

export type NamedStore = { readonly name: string; readonly store: ObjectStore };
export type Roles<Target extends NamedStore> = {
  primary: Target;
  replicas: Target[];
  /** The newest, on whichever target it was found. */
  promotion: Promotion | undefined;
  /** Targets that could not be asked. Should a promotion be known there alone, it was not found. */
  silent: { name: string; error: StillpointError }[];
};

/** What only says that no repository is there yet: a replica that nothing was copied to. */
const EMPTY = "REPOSITORY_MISSING";

/** The place that was promoted; by its name where it is reached by another URL now. */
function meantOf<Target extends NamedStore>(targets: readonly Target[], said: Promotion): Target | undefined {
  return (
    targets.find(({ store }) => store.url === said.url) ??
    targets.find(({ name, store }) => isMeant(said, { name, url: store.url }))
  );
}

/**
 * Which of the targets is the primary: the one that the newest promotion names, found on whichever of them can be asked;
 * the first one where there was none, or, `orFirst`, where it names none of them. One target alone is asked nothing.
 */
export async function findPrimary<Target extends NamedStore>(
  targets: readonly [Target, ...Target[]],
  key: Opener | Secret,
  chance: { random: (length: number) => Uint8Array; now: () => number; orFirst?: boolean },
): Promise<Roles<Target>> {
  const silent: Roles<Target>["silent"] = [];
  let promotion: Promotion | undefined;
  if (targets.length > 1)
    for (const { name, store } of targets)
      try {
        const { ring } = await openKeyRing(store, key);
        const found = await newestPromotion(changeLog({ store, ring, ...chance }));
        if (found !== undefined && (promotion === undefined || isNewer(found, promotion))) promotion = found;
      } catch (error) {
        if (!(error instanceof StillpointError)) throw error;
        if (error.code !== EMPTY) silent.push({ name, error });
      }
  const meant = promotion === undefined ? targets[0] : meantOf(targets, promotion);
  const primary = meant ?? (chance.orFirst ? targets[0] : undefined);
  if (primary === undefined)
    throw new StillpointError("CONFIG_INVALID", {
      what: "Cannot tell which target is the primary",
      where: `${promotion?.target}, ${promotion?.url}`,
      why: `${promotion?.by} promoted it at ${promotion?.at}, and it is not among the targets`,
      hint: "name it among the targets, by that URL; where it has moved or is gone, `stillpoint repo promote` one that is there",
    });
  return { primary, replicas: targets.filter((each) => each !== primary), promotion, silent };
}
