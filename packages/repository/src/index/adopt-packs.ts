import { StillpointError } from "@stillpoint/contracts/errors";
import type { ObjectInfo } from "@stillpoint/object-store/object-store";
import type { IndexedPack } from "../format/index-format.ts";
import { packIdOf, packName } from "../format/kinds.ts";
import { readPackList } from "../read/pack-list.ts";
import { inParallel } from "../replicas/in-parallel.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { writeIndex } from "./index-objects.ts";

const ASKED_AT_ONCE = 8;
const PACKS_PER_INDEX = 64;
/** Packs are listed anew before each backup while this many are listed in moments, and else once a day. */
const FEW_PACKS = 4_096;
const DAY_MS = 86_400_000;
const SURVEYED = "surveyed";

/** Pure: whether to look through all packs for some that no index lists. */
export function isSurveyDue(packs: number, surveyedMs: number | undefined, nowMs: number): boolean {
  return packs <= FEW_PACKS || surveyedMs === undefined || Math.abs(nowMs - surveyedMs) > DAY_MS;
}

/** Packs that no index lists: those that a process was storing when it ended and, from time to time, all there are. */
async function unlisted(context: RepositoryContext, which: "due" | "all", signal?: AbortSignal): Promise<ObjectInfo[]> {
  const { store, index, now } = context;
  const found = new Map<string, ObjectInfo>();
  if (which === "all" || isSurveyDue(index.packs, index.note(SURVEYED), now())) {
    const begunMs = now();
    for await (const object of store.list("packs/", { signal }))
      if (index.packLength(packIdOf(object.name)) === undefined) found.set(packIdOf(object.name), object);
    index.note(SURVEYED, begunMs);
  }
  await inParallel(index.expected(), ASKED_AT_ONCE, async (packId) => {
    const object = found.get(packId) ?? (await store.head(packName(packId), signal));
    if (object === undefined) index.giveUp(packId);
    else found.set(packId, object);
  });
  return [...found].flatMap(([packId, object]) =>
    index.isExpectedHere(packId) || index.isCondemned(packId) ? [] : [object],
  );
}

/**
 * Lists packs that are there and that no index object names: what a backup stored before it broke off is not stored twice.
 * One that does not open is left to whoever collects and checks: nothing leans on it.
 */
export async function adoptPacks(
  context: RepositoryContext,
  signal?: AbortSignal,
  /** `all`: every pack there is, however long that takes. */
  which: "due" | "all" = "due",
): Promise<void> {
  const { store, ring, index, random } = context;
  const objects = await unlisted(context, which, signal);
  for (let at = 0; at < objects.length; at += PACKS_PER_INDEX) {
    const packs: IndexedPack[] = [];
    await inParallel(objects.slice(at, at + PACKS_PER_INDEX), ASKED_AT_ONCE, async (object) => {
      try {
        packs.push(await readPackList(store, object, ring.epochs, signal));
      } catch (error) {
        if (!(error instanceof StillpointError) || !["OBJECT_DAMAGED", "OBJECT_MISSING"].includes(error.code))
          throw error;
      }
    });
    if (packs.length === 0) continue;
    const content = { supersedes: [], packs };
    index.add(await writeIndex(store, content, ring.epochs, random, signal), content);
  }
}
