import { StillpointError } from "@stillpoint/contracts/errors";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import type { ChangeLog } from "../changes/change-log.ts";
import { CONFIG_NAME, objectName } from "../format/kinds.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { newestPromotion, type Promotion } from "./primary.ts";
import { type ReplicateOptions, replicate } from "./replicate.ts";
import { type Lag, lagOf, surveyReplica } from "./survey.ts";
import { copyMarks } from "./sweep-marks.ts";

/** What promoting a target would mean now. */
export type PromotionPlan = {
  lag: Lag;
  /** Points that the target does not have yet; promoting copies them first. */
  pointsBehind: string[];
  /** What only the target has: written while it was cut off, or swept here and not yet there. */
  onlyThere: number;
};

export async function planPromotion(
  context: RepositoryContext,
  target: ObjectStore,
  signal?: AbortSignal,
): Promise<PromotionPlan> {
  const survey = await surveyReplica(context.store, target, { signal });
  const folder = objectName("points", "");
  return {
    lag: lagOf(survey),
    pointsBehind: survey.lacking.filter(({ kind }) => kind === "points").map(({ name }) => name.slice(folder.length)),
    onlyThere: survey.strays.length,
  };
}

export type PromoteOptions = ReplicateOptions & {
  /** The target's name among the targets. */
  name: string;
  by: string;
  /** Go on although something cannot be copied: it stays with the old primary alone. */
  acceptLoss?: boolean;
};

async function say(
  changes: ChangeLog,
  detail: Pick<Promotion, "target" | "url" | "lost">,
  by: string,
  above?: number,
): Promise<Promotion> {
  await changes.append({ change: "promote", object: CONFIG_NAME, detail, by, above });
  const newest = await newestPromotion(changes);
  if (newest?.target === detail.target) return newest;
  throw new StillpointError("CONFLICT", {
    what: "Did not promote a target",
    where: detail.target,
    why: `${newest?.by} promoted ${newest?.target} at the same time`,
    hint: "see `stillpoint repo status`, and promote again if that is not what is meant",
  });
}

/** The newest promotion, where it is this one: it was said before, and what followed it may have been broken off. */
async function alreadySaid(
  changes: ChangeLog,
  { target, url }: Pick<Promotion, "target" | "url">,
): Promise<Promotion | undefined> {
  const newest = await newestPromotion(changes);
  return newest?.target === target && newest.url === url ? newest : undefined;
}

function incomplete(name: string, notCopied: readonly { object: string; why: string }[]): StillpointError {
  const [first] = notCopied;
  return new StillpointError("REPLICA_BEHIND", {
    what: "Did not promote a target",
    where: name,
    why: `${notCopied.length} objects cannot be copied to it, the first ${first?.object}: ${first?.why}`,
    hint: "repair the primary first (`stillpoint repo check`), or say --accept-loss: what cannot be copied stays where it is",
  });
}

/**
 * Makes a replica the primary while the old one is in reach: most is copied while writers go on; then it is said on the old
 * primary, whose writers answer nothing as written from there on; then the rest is copied, with the word itself. Broken off
 * at any place, it is taken up by doing it again.
 */
export async function promote(
  context: RepositoryContext,
  target: ObjectStore,
  { name, by, acceptLoss = false, ...options }: PromoteOptions,
): Promise<{ promotion: Promotion; lag: Lag }> {
  const first = await replicate(context, target, options);
  if (first.notCopied.length > 0 && !acceptLoss) throw incomplete(name, first.notCopied);
  const detail = { target: name, url: target.url };
  const said = await alreadySaid(context.changes, detail);
  const promotion =
    said ?? (await say(context.changes, first.notCopied.length === 0 ? detail : { ...detail, lost: first.lag }, by));
  const last = await replicate(context, target, options);
  if (last.notCopied.length > 0 && !acceptLoss) throw incomplete(name, last.notCopied);
  await copyMarks(context, target, options.signal);
  return { promotion, lag: last.lag };
}

/**
 * Further than any replica lags behind: numbers of generations that the old primary gave out and the replica never saw, and
 * that manifests here may name, are not given out again.
 */
const GENERATIONS_SKIPPED = 10_000;

export type AloneOptions = {
  name: string;
  by: string;
  lost?: Lag | undefined;
  /** The newest promotion that is known, on whichever target: this one counts instead. */
  after?: Pick<Promotion, "sequence"> | undefined;
};

/**
 * The same where the old primary is out of reach; `context` is the replica's own. Writers that still reach the old one go
 * on there until they meet the word. What they store is not lost: it has names of its own, and is taken in later.
 */
export async function promoteAlone(
  context: RepositoryContext,
  { name, by, lost, after }: AloneOptions,
): Promise<Promotion> {
  const detail = { target: name, url: context.store.url };
  const said = await alreadySaid(context.changes, detail);
  if (said !== undefined && (after === undefined || after.sequence <= said.sequence)) return said;
  const state = await context.condemned.load();
  await context.condemned.append({ ...state, newest: state.newest + GENERATIONS_SKIPPED }, {});
  return say(context.changes, lost === undefined ? detail : { ...detail, lost }, by, after?.sequence);
}
