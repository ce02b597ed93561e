import { StillpointError } from "@stillpoint/contracts/errors";
import { storeUnsupported } from "@stillpoint/object-store/object-errors";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import type { RepositoryContext } from "../repository-context.ts";
import { type ClassMove, type ClassRule, classMoves } from "./class-moves.ts";
import { inParallel } from "./in-parallel.ts";
import { packUses } from "./pack-uses.ts";

const MOVES_AT_ONCE = 8;

export type ClassReport = { moved: ClassMove[]; waiting: ClassMove[]; planned: ClassMove[] };

/**
 * Moves packs to the class that their use asks for. What comes back from a cold class is asked to thaw first, and moved
 * when it can be read: `waiting` until then. `dryRun`: only says what would be moved.
 */
export async function moveClasses(
  context: RepositoryContext,
  store: ObjectStore,
  rules: readonly ClassRule[],
  { dryRun = false, signal }: { dryRun?: boolean; signal?: AbortSignal | undefined } = {},
): Promise<ClassReport> {
  const { classes } = store;
  if (classes === undefined) throw storeUnsupported(store.url, "this kind of storage has no storage classes");
  const nowMs = await store.now(signal);
  const planned = classMoves(
    await packUses(context, store, nowMs, signal),
    rules,
    nowMs,
    (storageClass) => classes.thawTakesMs(storageClass) > 0,
  );
  const report: ClassReport = { moved: [], waiting: [], planned };
  if (dryRun) return report;
  await inParallel(planned, MOVES_AT_ONCE, async (move) => {
    try {
      if (classes.thawTakesMs(move.from) > 0 && (await classes.thawState(move.name, signal)) !== "readable") {
        await classes.thaw(move.name, 1, signal);
        report.waiting.push(move);
        return;
      }
      await classes.move(move.name, move.to, signal);
      report.moved.push(move);
    } catch (error) {
      // Swept since it was listed: there is nothing to move.
      if (!(error instanceof StillpointError && error.code === "OBJECT_MISSING")) throw error;
    }
  });
  return report;
}
