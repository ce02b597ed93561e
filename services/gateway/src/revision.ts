import { createHash } from "node:crypto";
import type { PlanInput } from "@stillpoint/contracts/plan";

/** JSON with the keys of every object sorted: what the user wrote, whatever its order, spacing and comments. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`);
  return `{${members.join(",")}}`;
}

/** A plan's revision: SHA-256 of its canonical form. */
export function revisionOf(definition: PlanInput): string {
  return createHash("sha256").update(canonicalJson(definition)).digest("hex");
}
