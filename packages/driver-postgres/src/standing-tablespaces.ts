import { text } from "node:stream/consumers";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { Earlier } from "@stillpoint/driver/tree";
import { BASE_PATH, parseBaseFacts } from "./base-facts.ts";
import type { MarkDetail } from "./mark-detail.ts";

type Tablespaces = MarkDetail["tablespaces"];

export const BASE_MADE_ANEW =
  "the base that stood lacks a tablespace that there is now, so the source was copied anew: moments between the making of that tablespace and this point cannot be restored";

/**
 * Object ids of the tablespaces of a base that stands. Undefined: it lacks one of those that there are now, or does not say
 * which it has; the log behind it would make that one at the source's own place.
 */
export async function tablespacesOfStanding(
  base: Earlier | undefined,
  now: Tablespaces,
): Promise<readonly string[] | undefined> {
  if (now.length === 0) return [];
  const has = base === undefined ? undefined : await tablespacesIn(base);
  return has !== undefined && now.every(({ oid }) => has.includes(oid)) ? has : undefined;
}

async function tablespacesIn(base: Earlier): Promise<string[] | undefined> {
  try {
    return parseBaseFacts(await text(base.read(BASE_PATH))).tablespaces.map(({ oid }) => oid);
  } catch (error) {
    // One of before bases said it.
    if (error instanceof StillpointError && error.code === "NOT_FOUND") return undefined;
    throw error;
  }
}

/** All that a mark on a shipped log says of its source: where a person has a say at the restore. */
export function ofMark(tablespaces: Tablespaces): Record<string, unknown> {
  return tablespaces.length === 0 ? {} : { tablespaces };
}
