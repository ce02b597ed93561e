import type { ObjectInfo } from "@stillpoint/object-store/object-store";
import { objectName } from "../format/kinds.ts";
import { isOfAnother } from "./is-of-another.ts";
import { lately } from "./remembered.ts";
import type { ReaderContext, SourceOfPlan } from "./source-log.ts";

export type ListedTail = { id: string; storedMs: number; bytes: number };
export type ListedBackup = { backupId: string; storedMs: number };
/** What may be of a source's log, by name, and is not condemned; in no order. */
export type LogListing = { tails: ListedTail[]; backups: ListedBackup[] };

/** What was listed, condemned or not. */
type Known = { tails: Map<string, ObjectInfo>; backups: Map<string, ObjectInfo>; wholeAtMs: number };

/**
 * So old may the listing be that what came since is added to. Far less than what is condemned is left to lie, so that nothing in
 * it can have gone; what came elsewhere than behind the newest (a base, another stream) is seen so much later.
 */
const WHOLE_EVERY_MS = 10_000;
/** Names of objects, of all sources together. */
const MOST_KNOWN = 100_000;

const TAILS = objectName("tails", "");
const BACKUPS = objectName("backups", "");

/** Lists what may be of a source's log; not for who decides what may go. */
export function logListings() {
  const lists = lately<Known>(MOST_KNOWN, ({ tails, backups }) => tails.size + backups.size);

  async function listed(
    { store, condemned }: ReaderContext,
    known: Known,
    from: { tails: From; backups: From },
    { of, signal }: { of: SourceOfPlan; signal: AbortSignal | undefined },
  ): Promise<LogListing> {
    const list = async ({ prefix, after }: From, into: Map<string, ObjectInfo>) => {
      for await (const each of store.list(prefix, { after, signal })) into.set(each.name, each);
    };
    // Tails before backups: one that a closed stretch supersedes, and that goes meanwhile, is in a backup then.
    const [{ objects }] = await Promise.all([condemned.load(signal), list(from.tails, known.tails)]);
    await list(from.backups, known.backups);
    const listing: LogListing = { tails: [], backups: [] };
    for (const { name, modifiedMs, size } of known.tails.values())
      if (!objects.has(name)) listing.tails.push({ id: name.slice(TAILS.length), storedMs: modifiedMs, bytes: size });
    for (const { name, modifiedMs } of known.backups.values()) {
      const backupId = name.slice(BACKUPS.length);
      if (isOfAnother(backupId, of)) known.backups.delete(name);
      else if (!objects.has(name)) listing.backups.push({ backupId, storedMs: modifiedMs });
    }
    return listing;
  }

  async function whole(context: ReaderContext, of: SourceOfPlan, signal?: AbortSignal): Promise<LogListing> {
    const known: Known = { tails: new Map(), backups: new Map(), wholeAtMs: context.monotonicMs() };
    const from = { tails: { prefix: `${TAILS}${of.source}/` }, backups: { prefix: BACKUPS } };
    const listing = await listed(context, known, from, { of, signal });
    lists.set(keyOf(of), known);
    return listing;
  }

  /** As whole, but where that is not long ago only what lies behind what was stored last. */
  async function growth(context: ReaderContext, of: SourceOfPlan, signal?: AbortSignal): Promise<LogListing> {
    const before = lists.get(keyOf(of));
    if (before === undefined || context.monotonicMs() - before.wholeAtMs >= WHOLE_EVERY_MS)
      return await whole(context, of, signal);
    // Another answer may be made of it at the same time.
    const known: Known = { ...before, tails: new Map(before.tails), backups: new Map(before.backups) };
    const shipped = `${BACKUPS}${of.plan}_${of.source}_`;
    const closed = [...known.backups.values()].filter(({ name }) => name.startsWith(shipped));
    const from = {
      tails: { prefix: `${TAILS}${of.source}/`, after: beginningOf(newestOf([...known.tails.values()])) },
      backups: { prefix: shipped, after: newestOf(closed) },
    };
    const listing = await listed(context, known, from, { of, signal });
    if (lists.get(keyOf(of)) === before) lists.set(keyOf(of), known);
    return listing;
  }

  return { whole, growth };
}

type From = { prefix: string; after?: string | undefined };

const keyOf = ({ plan, source }: SourceOfPlan) => `${plan}/${source}`;

/** The name of the one that was stored last; of several the last name. */
function newestOf(objects: readonly ObjectInfo[]): string | undefined {
  return objects.reduce<ObjectInfo | undefined>((newest, each) => {
    const isNewer =
      newest === undefined ||
      each.modifiedMs > newest.modifiedMs ||
      (each.modifiedMs === newest.modifiedMs && each.name > newest.name);
    return isNewer ? each : newest;
  }, undefined)?.name;
}

/** Pure: a tail's name up to where it begins, so that another writer's longer one from there comes behind it. */
function beginningOf(tail: string | undefined): string | undefined {
  return tail?.slice(0, tail.indexOf("-", tail.lastIndexOf("/")));
}
