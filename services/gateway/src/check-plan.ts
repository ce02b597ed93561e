import { StillpointError } from "@stillpoint/contracts/errors";
import type { CheckRule, Plan } from "@stillpoint/contracts/plan";
import { type Entry, parseSchedule } from "@stillpoint/schedule/schedule";
import type { PlanIssue } from "./plan-issues.ts";

/** What the shape alone cannot say: names that lead nowhere, a schedule that cannot keep the promise. */
export function checkPlan(plan: Plan): PlanIssue[] {
  return [...checkNames(plan), ...checkSchedule(plan)];
}

/** What is accepted, and what people should know of it. */
export function warningsOf(plan: Plan): string[] {
  const warnings: string[] = [];
  if (plan.schedule.length === 0)
    warnings.push("there is no schedule: points are made only when somebody asks for one");
  if (plan.cut.mode === "align") {
    warnings.push("mode align pauses nobody: the stores are each at a true moment of their own, inside a window");
  }
  if (plan.checks.length === 0 && Object.keys(plan.sources).length > 1) {
    warnings.push(
      "there are no checks between the stores: a proof shows that each opens, not that they belong together",
    );
  }
  if (plan.permitEgress) warnings.push("permitEgress: a restored server may reach the network");
  return warnings;
}

function checkNames(plan: Plan): PlanIssue[] {
  const known = Object.keys(plan.sources);
  const unknown = (name: string, path: PropertyKey[]): PlanIssue[] =>
    known.includes(name) ? [] : [{ path, why: `there is no source ${name}; there are ${known.join(", ")}` }];
  return [
    ...plan.optional.flatMap((name, at) => unknown(name, ["optional", at])),
    ...plan.checks.flatMap((rule, at) =>
      namedIn(rule).flatMap(({ name, path }) => unknown(name, ["checks", at, ...path])),
    ),
  ];
}

function namedIn(rule: CheckRule): { name: string; path: PropertyKey[] }[] {
  const sourceOf = (located: string) => located.slice(0, located.indexOf("."));
  if ("reference" in rule) {
    return rule.reference.split(" -> ").map((located) => ({ name: sourceOf(located), path: ["reference"] }));
  }
  if ("sequence" in rule) {
    return rule.sequence.map((located, at) => ({ name: sourceOf(located), path: ["sequence", at] }));
  }
  return [{ name: rule.source, path: ["source"] }];
}

function checkSchedule(plan: Plan): PlanIssue[] {
  let entries: Entry[];
  try {
    entries = parseSchedule(plan);
  } catch (error) {
    if (!(error instanceof StillpointError)) throw error;
    const path = (error.where ?? "schedule").split(".").map((part) => (/^\d+$/.test(part) ? Number(part) : part));
    return [{ path, why: error.why ?? error.message }];
  }
  if (entries.length === 0) return [];
  const { rpo } = plan.objectives;
  const gapMs = gapBeyond(entries, rpo);
  if (gapMs === undefined) return [];
  return [
    {
      path: ["schedule"],
      why:
        `leaves ${inWords(gapMs)} between two points, longer than the RPO of ${inWords(rpo)}: ` +
        `schedule more often, or set objectives.rpo to ${inWords(gapMs)}`,
    },
  ];
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** A fixed moment, so that the same plan is judged the same on every day. */
const FROM = Date.UTC(2026, 0, 1);

/**
 * A gap between two instants that is longer than the objective; undefined if there is none. Looks from each instant for the
 * last one within the objective, over a week at least, and over more than a year where calendars of months matter.
 */
export function gapBeyond(entries: readonly Entry[], rpoMs: number): number | undefined {
  // On the day of a change of clocks a daily point comes an hour late.
  const allowedMs = rpoMs >= DAY_MS ? rpoMs + HOUR_MS : rpoMs;
  const until = FROM + (rpoMs >= DAY_MS ? 400 * DAY_MS : 8 * DAY_MS) + allowedMs;
  let at = nextOf(entries, FROM);
  while (at !== undefined && at < until) {
    const last = Math.max(...entries.map(({ lastSlot }) => lastSlot((at ?? 0) + allowedMs) ?? 0));
    if (last <= at) {
      const next = nextOf(entries, at);
      return next === undefined ? Number.POSITIVE_INFINITY : next - at;
    }
    at = last;
  }
  return at === undefined ? Number.POSITIVE_INFINITY : undefined;
}

function nextOf(entries: readonly Entry[], at: number): number | undefined {
  const slots = entries.flatMap(({ nextSlot }) => nextSlot(at) ?? []);
  return slots.length === 0 ? undefined : Math.min(...slots);
}

function inWords(ms: number): string {
  if (!Number.isFinite(ms)) return "for ever";
  for (const [unit, unitMs] of [
    ["d", DAY_MS],
    ["h", HOUR_MS],
    ["m", 60_000],
    ["s", 1_000],
  ] as const) {
    if (ms % unitMs === 0) return `${ms / unitMs}${unit}`;
  }
  return `${ms}ms`;
}
