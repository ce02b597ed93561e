import { backupId, instant, uuid } from "@stillpoint/contracts/names";
import { z } from "zod";
import type { CheckReport } from "../check/report.ts";
import { objectName } from "../format/kinds.ts";
import { kindOf } from "../replicas/kinds-replicated.ts";

const item = z.object({
  object: z.string(),
  why: z.string(),
  /** What is tried, in plain words. */
  steps: z.array(z.string()),
  backups: z.array(backupId),
  points: z.array(uuid),
});

/** What a repair would do, as a document: to be looked at, and then applied. Applying looks at every object again. */
export const repairPlan = z.object({
  repositoryId: uuid,
  /** Which store was checked: a plan is applied to no other. */
  url: z.string(),
  madeAt: instant,
  objects: z.array(item),
  /** Packs that no index lists, and that are listed again. */
  unlistedPacks: z.number().int().nonnegative(),
});
export type RepairPlan = z.infer<typeof repairPlan>;

const FROM_REPLICA = "put back from a replica that has it whole";
const STEPS: Readonly<Record<string, string[]>> = {
  packs: [
    FROM_REPLICA,
    "else store its whole chunks in a new pack, and take the others from packs that hold them too",
    "keep the damaged bytes in quarantine/",
  ],
  index: [FROM_REPLICA, "else list the packs anew from their own lists", "keep the damaged bytes in quarantine/"],
};

/** Pure: what is to be done about what a check, or a scrub, found. */
export function planRepair(
  found: Pick<CheckReport, "problems"> & { unlistedPacks?: number },
  of: Pick<RepairPlan, "repositoryId" | "url" | "madeAt">,
): RepairPlan {
  const objects = new Map<string, z.infer<typeof item>>();
  for (const { object, why, backups, points } of found.problems) {
    const kind = kindOf(object);
    objects.set(object, { object, why, steps: STEPS[kind ?? ""] ?? [FROM_REPLICA], backups, points });
    // A point is hurt by a manifest that is not there: it is the one to be put back.
    if (kind === "points")
      for (const each of backups) {
        const manifest = objectName("backups", each);
        const known = objects.get(manifest)?.points ?? [];
        objects.set(manifest, {
          object: manifest,
          why: `a point stands on it: ${why}`,
          steps: [FROM_REPLICA],
          backups: [each],
          points: [...new Set([...known, ...points])],
        });
      }
  }
  return { ...of, objects: [...objects.values()], unlistedPacks: found.unlistedPacks ?? 0 };
}
