/**
 * Positions of a source's log. A source may be many databases, each with a log of its own, but a window of recoverability is
 * derived from one line of positions; so all of them are shipped as one stream, and a position is a moment of the machine's
 * monotonic clock: *every commit before a position is in the log before it*. A base, which another process makes, reads the
 * same clock and says its range without asking the shipper. What stands at a position in each database is in the shipped
 * bytes, as salts and frames, and a restore goes by these alone: the positions say only what it must be given.
 *
 * Rejected: a stream for each database (as many objects for each flush, and windows that must be intersected); sums of
 * generations and frames (a log that is deleted and made anew begins elsewhere, which a base cannot know); the wall clock
 * (it goes back).
 */
import { createHash } from "node:crypto";
import type { LogPosition } from "@stillpoint/contracts/log";
import type { MachineClock } from "./machine-clock.ts";
import type { WalAddress } from "./wal-address.ts";

/** A look at all databases that took longer is taken again: so far after a position may lie what is in the log before it. */
export const LOOK_MOST_MS = 100;

const TIME_DIGITS = 12;
const FRAMES_DIGITS = 8;
const STATE_DIGITS = 16;

/** A database as a shipper left it. `file`: what tells its file apart where there was never a log, so that salts say nothing. */
export type StateInput = { name: string; address: WalAddress; file?: string };

/** `at` sorts by the time; then come the frames of all databases and a digest of their generations: whether they go on from there. */
export function positionOf(
  clock: Pick<MachineClock, "stream">,
  ms: number,
  state: readonly StateInput[] = [],
): LogPosition {
  const frames = state.reduce((sum, { address }) => sum + address.frames, 0) % 2 ** (4 * FRAMES_DIGITS);
  const digest = state.length === 0 ? "0".repeat(STATE_DIGITS) : digestOf(state);
  return {
    stream: clock.stream,
    at: hex(Math.max(0, Math.floor(ms)), TIME_DIGITS) + hex(frames, FRAMES_DIGITS) + digest,
  };
}

export type PositionParts = { ms: number; frames: number; digest: string };

/** Undefined: it is none of this kind's. */
export function partsOf({ at }: LogPosition): PositionParts | undefined {
  const parts = /^(?<ms>[0-9a-f]{12})(?<frames>[0-9a-f]{8})(?<digest>[0-9a-f]{16})$/.exec(at)?.groups;
  if (parts === undefined) return undefined;
  const { ms = "", frames = "", digest = "" } = parts;
  return { ms: Number.parseInt(ms, 16), frames: Number.parseInt(frames, 16), digest };
}

export function digestOf(state: readonly StateInput[]): string {
  const lines = state.map(({ name, address, file }) => JSON.stringify([name, ...address.salts, file ?? ""])).sort();
  return createHash("sha256").update(lines.join("\n")).digest("hex").slice(0, STATE_DIGITS);
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, "0");
}
