import { StillpointError } from "@stillpoint/contracts/errors";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { z } from "zod";
import type { ChangeLog } from "../changes/change-log.ts";
import { newestChanges, type StoredChange } from "../changes/newest.ts";
import { getDocument } from "../documents-store.ts";
import { change } from "../format/documents.ts";
import { CONFIG_NAME } from "../format/kinds.ts";
import type { RepositoryContext } from "../repository-context.ts";

/** What a `promote` says: which target is the primary from then on. */
export const promotion = z.object({
  target: z.string(),
  url: z.string(),
  /** What the old primary had and the new one not, where that was known. */
  lost: z.object({ objects: z.number(), bytes: z.number(), seconds: z.number() }).optional(),
});
export type Promotion = z.infer<typeof promotion> & { by: string; at: string; sequence: number; changeId: string };

function promotionOf(said: StoredChange | undefined): Promotion | undefined {
  const parsed = promotion.safeParse(said?.detail);
  if (said === undefined || !parsed.success) return undefined;
  const { by, at, sequence, changeId } = said;
  return { ...parsed.data, by, at, sequence, changeId };
}

/** The newest word on which target is the primary; undefined where nobody ever promoted one. */
export async function newestPromotion(changes: ChangeLog, signal?: AbortSignal): Promise<Promotion | undefined> {
  return promotionOf((await changes.newest(signal)).of("primary", CONFIG_NAME));
}

/** Who a store is, for telling whether a promotion means it: its URL, or its own name among the targets. */
export type TargetIdentity = { name?: string | undefined; url: string };

/** What whoever is named first is called: after an edit of the targets file it may be another place. */
const FIRST = "primary";

export function isMeant({ target, url }: Pick<Promotion, "target" | "url">, identity: TargetIdentity): boolean {
  return url === identity.url || (target === identity.name && target !== FIRST);
}

export function notPrimary(identity: TargetIdentity, { target, by, at }: Promotion): StillpointError {
  return new StillpointError("NOT_PRIMARY", {
    what: "Did not write: this target is not the repository's primary any more",
    where: identity.name === undefined ? identity.url : `${identity.name} at ${identity.url}`,
    why: `${by} promoted ${target} at ${at}`,
    hint: `write to ${target}: make it the primary among the targets and start again; \`stillpoint repo promote\` makes this one the primary again`,
  });
}

/** The newest promotion among changes that only a target has: it was promoted while this store was out of reach. */
export async function promotionThere(
  context: Pick<RepositoryContext, "ring" | "random">,
  target: ObjectStore,
  changeIds: readonly string[],
  signal?: AbortSignal,
): Promise<Promotion | undefined> {
  const found: StoredChange[] = [];
  for (const id of changeIds) {
    const read = await getDocument({ ...context, store: target }, "changes", id, change, signal);
    if (read !== undefined) found.push({ ...read.document, storedMs: 0 });
  }
  return promotionOf(newestChanges(found).of("primary", CONFIG_NAME));
}

/**
 * Asked by writers before they begin and before they answer. Who promotes with the old primary in reach says so there first
 * and copies what is there afterwards, so that what was answered as written is never left behind.
 */
export function primaryGuard(changes: ChangeLog, identity: TargetIdentity) {
  async function assertPrimary(signal?: AbortSignal): Promise<void> {
    const newest = await newestPromotion(changes, signal);
    if (newest !== undefined && !isMeant(newest, identity)) throw notPrimary(identity, newest);
  }
  return {
    assertPrimary,
    /** Work that writes: refused where another is the primary, and not answered as done where that was said meanwhile. */
    async guarded<Result>(work: () => Promise<Result>): Promise<Result> {
      await assertPrimary();
      const result = await work();
      await assertPrimary();
      return result;
    },
  };
}
export type PrimaryGuard = ReturnType<typeof primaryGuard>;
