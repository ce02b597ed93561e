import type { Notice } from "@stillpoint/contracts/alerts";

export type Kept = { key: string; notice: Notice; revision: number };

const LONGEST_RETRY_MS = 600_000;
/** An outage of the channel outlasts this seldom, and what is older is in the history. */
const KEEP_MS = 3 * 86_400_000;
/** Trouble that came and went while nobody could be told, this long ago, is not news. */
const STALE_MS = 3_600_000;

export type Plan = { send: Kept[]; drop: { kept: Kept; why: string }[] };

/**
 * What to send now and what to let go. Of each condition only the oldest notice goes out, so that nobody reads that a
 * trouble is over before he reads that it is there.
 */
export function planDeliveries(all: readonly Kept[], now: number): Plan {
  const plan: Plan = { send: [], drop: [] };
  for (const notices of Map.groupBy(all, ({ notice }) => notice.condition).values()) {
    const inOrder = notices.toSorted((a, b) => a.notice.sequence - b.notice.sequence);
    const dropped = new Set([...tooOld(inOrder, now), ...overLongAgo(inOrder, now)]);
    for (const kept of dropped) {
      plan.drop.push({ kept, why: kept.notice.attempts > 0 ? "could not be delivered for days" : "over long ago" });
    }
    const first = inOrder.find((kept) => !dropped.has(kept));
    if (first !== undefined && isDue(first.notice, now)) plan.send.push(first);
  }
  return plan;
}

function isDue({ retryAt }: Notice, now: number): boolean {
  return retryAt === undefined || now >= Date.parse(retryAt);
}

function tooOld(notices: readonly Kept[], now: number): Kept[] {
  return notices.filter(({ notice }) => now - Date.parse(notice.writtenAt) > KEEP_MS);
}

/** Opened and resolved again, both long ago and neither told to anybody: as when this service is new to an old bus. */
function overLongAgo(notices: readonly Kept[], now: number): Kept[] {
  const end = notices.findLastIndex(({ notice }) => notice.kind === "resolved");
  const past = notices.slice(0, end + 1);
  const isUntold = past.every(({ notice }) => notice.delivered.length === 0 && notice.attempts === 0);
  const isStale = past.every(({ notice }) => now - Date.parse(notice.at) > STALE_MS);
  return isUntold && isStale ? past : [];
}

/** When to try again after this many failures. A channel that names a time is not asked before. */
export function retryAfter(attempts: number, firstMs: number, askedForMs: number | undefined): number {
  return Math.max(Math.min(firstMs * 2 ** Math.min(attempts - 1, 20), LONGEST_RETRY_MS), askedForMs ?? 0);
}
