import { isNewer, type StoredChange } from "./newest.ts";

/** In a change's detail: an undelete whose point was not found whole yet; what counts if it is not is said right above it. */
const TENTATIVE = "tentative";

/** What makes an undelete tentative. */
export const TENTATIVELY = { [TENTATIVE]: true } as const;

type Word = Pick<StoredChange, "change" | "detail">;

export function isTentative({ change, detail }: Word): boolean {
  return change === "undelete" && detail[TENTATIVE] === true;
}

/** Pure: whether it is said for good that the object is there: nobody who said so may take it back. */
export function isThereForGood(newest: Word | undefined): boolean {
  return newest === undefined || (newest.change === "undelete" && !isTentative(newest));
}

/** Pure: deletions and undeletes of an object, the newest first. */
export function wordsOn(changes: Iterable<StoredChange>, object: string): StoredChange[] {
  return [...changes]
    .filter((each) => each.object === object && (each.change === "delete" || each.change === "undelete"))
    .sort((a, b) => (isNewer(a, b) ? -1 : 1));
}

/** Pure: what counts if a tentative undelete does not: the newest word below it that is not tentative itself. */
export function firmWordBelow(words: readonly StoredChange[], tentative: Pick<StoredChange, "sequence" | "changeId">) {
  return words.find((each) => isNewer(tentative, each) && !isTentative(each));
}
