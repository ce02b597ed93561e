import { toInstant } from "@stillpoint/contracts/names";
import type { CalendarUnit, Rule } from "./policy.ts";
import type { Reason, RetentionPoint } from "./retention-point.ts";
import { wordsOf } from "./words.ts";

/** The schedule entry that is made for a unit: its point stands for the unit before any other of the same unit. */
const ENTRY_OF: Partial<Record<CalendarUnit, string>> = {
  hour: "hourly",
  day: "daily",
  week: "weekly",
  month: "monthly",
};

export type Wanted = {
  kept: ReadonlyMap<string, readonly Reason[]>;
  /** Why no rule keeps this point. */
  whyNot: (point: RetentionPoint) => Reason;
};

type Bucket = { name: string; chosen: RetentionPoint };

/** Newest first. The one of a bucket that stands for it: the newest with the unit's own entry, else the newest. */
function bucketsOf(
  points: readonly RetentionPoint[],
  nameOf: (point: RetentionPoint) => string,
  entry: string | undefined,
): Map<string, Bucket> {
  const buckets = new Map<string, Bucket>();
  for (const point of points) {
    const name = nameOf(point);
    const bucket = buckets.get(name);
    if (bucket === undefined) buckets.set(name, { name, chosen: point });
    else if (entry !== undefined && !bucket.chosen.entries.includes(entry) && point.entries.includes(entry))
      bucket.chosen = point;
  }
  return buckets;
}

/** What the rules want of `points`, which are newest first. Each rule looks at all of them, whatever another keeps. */
export function wantedBy(
  rules: readonly Rule[],
  points: readonly RetentionPoint[],
  newestMs: number,
  calendar: (unit: CalendarUnit, epochMs: number) => string,
): Wanted {
  const kept = new Map<string, Reason[]>();
  const keep = ({ pointId }: RetentionPoint, reason: Reason) =>
    kept.set(pointId, [...(kept.get(pointId) ?? []), reason]);
  /** In the order of the rules, the finest first: the nearest point that stays in its place. */
  const replacements: ((point: RetentionPoint) => Reason | undefined)[] = [];

  const keepBuckets = (
    code: Reason["code"],
    what: string,
    buckets: ReadonlyMap<string, Bucket>,
    isWanted: (bucket: Bucket, at: number) => boolean,
    nameOf: (point: RetentionPoint) => string,
  ) => {
    const names = new Set<string>();
    [...buckets.values()].forEach((bucket, at) => {
      if (!isWanted(bucket, at)) return;
      names.add(bucket.name);
      keep(bucket.chosen, { code, text: `stands for its ${what} (${bucket.name})` });
    });
    replacements.push((point) => {
      const name = nameOf(point);
      const chosen = names.has(name) ? buckets.get(name)?.chosen : undefined;
      if (chosen === undefined) return undefined;
      return { code: "replaced", text: `for its ${what} (${name}) the point cut at ${toInstant(chosen.cutMs)} stands` };
    });
  };

  for (const rule of rules) {
    switch (rule.rule) {
      case "last":
        points.slice(0, rule.count).forEach((point, at) => {
          keep(point, { code: "last", text: `number ${at + 1} of the last ${rule.count}` });
        });
        break;
      case "within":
        for (const point of points)
          if (newestMs - point.cutMs <= rule.ms)
            keep(point, { code: "within", text: `younger than ${wordsOf(rule.ms)}` });
        break;
      case "every": {
        const nameOf = ({ cutMs }: RetentionPoint) => toInstant(Math.floor(cutMs / rule.ms) * rule.ms);
        const isWanted = ({ chosen }: Bucket) => newestMs - chosen.cutMs <= rule.withinMs;
        keepBuckets("every", wordsOf(rule.ms), bucketsOf(points, nameOf, undefined), isWanted, nameOf);
        break;
      }
      case "calendar": {
        const { unit, count, withinMs } = rule;
        const nameOf = ({ cutMs }: RetentionPoint) => calendar(unit, cutMs);
        const isWanted = ({ chosen }: Bucket, at: number) =>
          (count === undefined || at < count) && (withinMs === undefined || newestMs - chosen.cutMs <= withinMs);
        keepBuckets(unit, unit, bucketsOf(points, nameOf, ENTRY_OF[unit]), isWanted, nameOf);
        break;
      }
      default:
        rule satisfies never;
    }
  }
  return {
    kept,
    whyNot: (point) => {
      for (const replacement of replacements) {
        const reason = replacement(point);
        if (reason !== undefined) return reason;
      }
      return { code: "too-old", text: "older than any rule reaches" };
    },
  };
}
