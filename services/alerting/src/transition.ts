import type { Condition, Notice, Severity } from "@stillpoint/contracts/alerts";
import type { Observation } from "./observation.ts";

const RANK: Readonly<Record<Severity, number>> = { info: 0, warning: 1, critical: 2 };

export function isAtLeast(severity: Severity, least: Severity): boolean {
  return RANK[severity] >= RANK[least];
}

/** What becomes of a condition, and what people are told of it. Undefined: nothing changes. */
export type Transition = { condition: Condition; tell?: Notice["kind"] };

/**
 * One telling when a condition opens, one when it gets worse, one when it is over, however often it is seen in between.
 * An event that was applied already, or that is older than what is known, changes nothing.
 */
export function transition(
  before: Condition | undefined,
  observation: Observation,
  sequence: number,
): Transition | undefined {
  if (before !== undefined && sequence <= before.sequence) return undefined;
  const isOpen = before?.state === "open";
  if (observation.type === "trouble") {
    const { severity, title, detail, hint, plan, about, at } = observation;
    const condition: Condition = {
      state: "open",
      severity,
      title,
      detail,
      ...(hint === undefined ? {} : { hint }),
      ...(plan === undefined ? {} : { plan }),
      ...(about === undefined ? {} : { about }),
      openedAt: isOpen ? before.openedAt : at,
      changedAt: at,
      times: isOpen ? before.times + 1 : 1,
      sequence,
    };
    if (!isOpen) return { condition, tell: "opened" };
    return RANK[severity] > RANK[before.severity] ? { condition, tell: "raised" } : { condition };
  }
  if (!isOpen) return undefined;
  // Ids of points sort by time: that an older point is good says nothing about the newer one that is not.
  const isOlder = before.about !== undefined && observation.about !== undefined && observation.about < before.about;
  if (isOlder) return undefined;
  const { title, detail, at } = observation;
  return { condition: { ...before, state: "resolved", title, detail, changedAt: at, sequence }, tell: "resolved" };
}
