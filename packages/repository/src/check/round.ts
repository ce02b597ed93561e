import { toInstant } from "@stillpoint/contracts/names";
import { z } from "zod";
import type { RepositoryContext } from "../repository-context.ts";

/**
 * How far the reading of all packs has come, round after round: they are read in the order of their ids, so that the next
 * ones are always those that were read longest ago, and one place is all that must be remembered. It lies in the repository,
 * as the change `checked` of `packs/`, so that any machine goes on where another ended.
 */
export const round = z.object({
  /** The last pack that was read; "": the round begins. */
  cursor: z.string().regex(/^([0-9a-f]{64})?$/),
  begunAt: z.iso.datetime({ precision: 3 }),
  /** When the last whole round began: everything older than that was read since. */
  before: z.object({ begunAt: z.string(), endedAt: z.string() }).optional(),
  /** Objects that were damaged when they were last read: they are read again first, until they are sound. */
  damaged: z.array(z.string()).default([]),
  /** Which store was read. A replica has rounds of its own. */
  url: z.string(),
});
export type Round = z.infer<typeof round>;

const OBJECT = "packs/";
/** What a message or a person bears; beyond them the round itself comes by again. */
const MOST_DAMAGED = 1_000;

export async function readRound(context: RepositoryContext, signal?: AbortSignal): Promise<Round> {
  const found = (await context.changes.newest(signal)).of("checked", OBJECT);
  const parsed = round.safeParse(found?.detail);
  if (parsed.success && parsed.data.url === context.store.url) return parsed.data;
  return { cursor: "", begunAt: toInstant(await context.store.now(signal)), damaged: [], url: context.store.url };
}

export async function writeRound(context: RepositoryContext, state: Round): Promise<void> {
  const damaged = state.damaged.slice(0, MOST_DAMAGED);
  await context.changes.append({ change: "checked", object: OBJECT, by: "check", detail: { ...state, damaged } });
}

/** The round after a pack was read; `wrapped`: it lies before the place where this run began. */
export function endRound(state: Round, nowMs: number): Round {
  const endedAt = toInstant(nowMs);
  return { ...state, cursor: "", begunAt: endedAt, before: { begunAt: state.begunAt, endedAt } };
}

const SPACE = 2n ** 256n;

/** Pure: whether an id lies in the 1/n of all ids that begins behind `cursor`, going round. */
export function isInPart(packId: string, cursor: string, parts: number): boolean {
  const from = BigInt(`0x${cursor || "0"}`);
  const distance = (BigInt(`0x${packId}`) - from + SPACE) % SPACE;
  return distance * BigInt(parts) <= SPACE;
}
