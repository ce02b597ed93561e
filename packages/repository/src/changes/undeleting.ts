import type { ChangeLog } from "./change-log.ts";
import { firmWordBelow, isThereForGood, TENTATIVELY, wordsOn } from "./existence.ts";
import type { Change, StoredChange } from "./newest.ts";

export type Undeleting = {
  object: string;
  by: string;
  reason?: string | undefined;
  /** What was said of the object when it was found to be deleted: the collector may take it meanwhile. */
  before: readonly StoredChange[];
  /** Resolves where all that the object needs is there, and was while the tentative word could be seen. */
  confirm: () => Promise<void>;
};

/**
 * Says that a deleted object is there again. Several may do so at once, each for itself: an undelete that was answered is
 * never undone by another that fails.
 *
 * A tentative undelete is put above all that can be seen; the object counts as there for who collects. Once it is confirmed,
 * the undelete for good takes the place right above it; else a deletion does. So whatever one says at last, however late,
 * counts only where nobody has said anything since, and nobody's last word stands above another's first. Before it deletes
 * again, it looks for an undelete for good below, which stays; after its undelete for good it looks for what came above. Of
 * two, one sees the other: whose undelete for good was not seen sees the tentative one above it, and goes above that again.
 */
export async function sayUndeleted(log: ChangeLog, work: Undeleting): Promise<void> {
  const { object, by, reason, confirm } = work;
  const detail = reason === undefined ? {} : { reason };
  for (;;) {
    const said = await log.append({ change: "undelete", object, by, detail: { ...detail, ...TENTATIVELY } });
    try {
      await confirm();
    } catch (error) {
      await takeBack(log, said, work);
      throw error;
    }
    await log.settle(said, { change: "undelete", object, by, detail });
    const [newest] = wordsOn(await log.all(), object);
    if (isThereForGood(newest)) return;
  }
}

/**
 * Deletes an object of one's own that is not to count; not where another has said meanwhile that it is there for good, and answered
 * so. Of the two one sees the other, as of two who undelete.
 */
export async function sayNotSealed(
  log: ChangeLog,
  { object, by, reason }: { object: string; by: string; reason: string },
): Promise<void> {
  const said = await log.append({ change: "undelete", object, by, detail: { reason, ...TENTATIVELY } });
  const below = firmWordBelow(wordsOn(await log.all(), object), said);
  if (below?.change === "undelete") return;
  const { change, by: whose, detail } = below ?? { change: "delete", by, detail: { reason } };
  await log.settle(said, { change, object, by: whose, detail });
}

/** Deletes again as it was deleted before; not where somebody has undeleted it for good meanwhile. */
async function takeBack(log: ChangeLog, said: Change, { object, by, before }: Undeleting): Promise<void> {
  const known = new Map([...before, ...(await log.all())].map((each) => [each.changeId, each]));
  const words = wordsOn(known.values(), object);
  const below = firmWordBelow(words, said);
  if (isThereForGood(below)) return;
  const detail = below?.detail.reason === undefined ? {} : { reason: below.detail.reason };
  await log.settle(said, { change: "delete", object, by: below?.by ?? by, detail });
}
