import type { z } from "zod";

/** One thing that is wrong with a plan file, where it is. */
export type PlanIssue = { path: PropertyKey[]; why: string };

/** The issues of a failed parse; of a choice between shapes, those of the shape that was most likely meant. */
export function issuesOf(error: z.ZodError): PlanIssue[] {
  return error.issues.flatMap((issue) => flatten(issue, []));
}

function flatten(issue: z.core.$ZodIssue, prefix: PropertyKey[]): PlanIssue[] {
  const path = [...prefix, ...issue.path];
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({ path: [...path, key], why: "is not known here" }));
  }
  if (issue.code === "invalid_union" && issue.errors.length > 0) {
    const meant = [...issue.errors].sort((one, other) => distance(one) - distance(other))[0] ?? [];
    return meant.flatMap((inner) => flatten(inner, path));
  }
  // Of an enumeration or a kind the message lists what is possible; no message repeats a value, which may be a secret.
  return [{ path, why: issue.message }];
}

/** A shape whose own keys are missing, or that knows a key not at all, was hardly meant. */
function distance(issues: readonly z.core.$ZodIssue[]): number {
  const weights = issues.map((issue) => {
    if (issue.code === "unrecognized_keys") return 10 * issue.keys.length;
    if (issue.code === "invalid_type" && issue.path.length > 0) return 5;
    return issue.code === "invalid_type" ? 20 : 1;
  });
  return weights.reduce((sum, weight) => sum + weight, 0);
}
