import { type Due, dueEntries, type Entry } from "@stillpoint/schedule/schedule";

/** What has been dealt with, in epoch milliseconds; `through` only grows. */
export type TickMemory = {
  through: number;
  carried: readonly { name: string; slot: number }[];
  retryAt?: number | undefined;
};

/** One run to ask for: an instant, and every entry that it stands for. */
export type Tick = { instant: number; due: readonly Due[] };

/** What to publish now, if anything. What was carried goes with whatever is due, or by itself when its time has come. */
export function nextTick(entries: readonly Entry[], memory: TickMemory, now: number): Tick | undefined {
  const fresh = dueEntries(entries, memory.through, now);
  const isRetry = memory.carried.length > 0 && memory.retryAt !== undefined && now >= memory.retryAt;
  if (fresh.length === 0 && !isRetry) return undefined;
  const carried = memory.carried.flatMap(({ name, slot }) => {
    const entry = entries.find((one) => one.name === name);
    // An entry that is no longer in the plan, or that is due again by itself, is not carried on.
    if (entry === undefined || fresh.some((one) => one.name === name)) return [];
    return [{ name, slot, intervalMs: entry.intervalMs }];
  });
  const due = [...fresh, ...carried];
  if (due.length === 0) return undefined;
  const [first, ...others] = (fresh.length > 0 ? fresh : carried).map(({ slot }) => slot);
  return { instant: Math.max(first ?? 0, ...others), due };
}

/** The run was published, or had been: nothing of it is left. */
export function memoryAfterRun(memory: TickMemory, tick: Tick): TickMemory {
  return { through: Math.max(memory.through, tick.instant), carried: [] };
}

export type Occupant = { entries: readonly string[]; dueAt: number | undefined };

/**
 * The run was refused because another is under way. What that one stands for is done; what comes round again soon is
 * dropped; the rest goes with the next run.
 */
export function memoryAfterRefusal(
  memory: TickMemory,
  tick: Tick,
  occupant: Occupant,
  entries: readonly Entry[],
  now: number,
  retryMs: number,
): TickMemory {
  const shortest = Math.min(...entries.map(({ intervalMs }) => intervalMs));
  const carried = tick.due.filter(({ name, slot, intervalMs }) => {
    const { dueAt } = occupant;
    const isDone = dueAt !== undefined && dueAt >= slot && occupant.entries.includes(name);
    const comesSoon = intervalMs <= shortest && intervalMs <= retryMs;
    return !isDone && !comesSoon;
  });
  return {
    through: Math.max(memory.through, tick.instant),
    carried: carried.map(({ name, slot }) => ({ name, slot })),
    ...(carried.length === 0 ? {} : { retryAt: now + retryMs }),
  };
}
