/**
 * The fence as pure state: every function takes the moment (milliseconds of a monotonic clock) and returns what is so
 * afterwards. One fence at a time; an id that was released or has expired is never held again.
 */
export type Fence = {
  readonly held: Held | undefined;
  /** For ever: a late quiesce may come at any time. A point every five minutes makes some 10 MB of it in a year. */
  readonly ended: ReadonlySet<string>;
};
export type Held = {
  readonly fenceId: string;
  readonly expiresAtMs: number;
  /** The writes under way have ended; before that the writers are stopped, but nothing was promised. */
  readonly confirmed: boolean;
};

export const OPEN: Fence = { held: undefined, ended: new Set() };

export type QuiesceAnswer = "held" | "held-by-another" | "ended";

/** Asked again for the fence that is held, the answer is the same and the expiry stays: no asker can prolong it. */
export function quiesce(
  fence: Fence,
  request: { fenceId: string; ttlMs: number },
  nowMs: number,
): { fence: Fence; answer: QuiesceAnswer } {
  const current = expire(fence, nowMs);
  if (current.ended.has(request.fenceId)) return { fence: current, answer: "ended" };
  if (current.held?.fenceId === request.fenceId) return { fence: current, answer: "held" };
  if (current.held !== undefined) return { fence: current, answer: "held-by-another" };
  const held: Held = { fenceId: request.fenceId, expiresAtMs: nowMs + request.ttlMs, confirmed: false };
  return { fence: { ...current, held }, answer: "held" };
}

/** No write is under way. False: the fence had gone by then, and nobody may be told that it is quiet. */
export function confirm(fence: Fence, fenceId: string, nowMs: number): { fence: Fence; confirmed: boolean } {
  const current = expire(fence, nowMs);
  if (current.held?.fenceId !== fenceId) return { fence: current, confirmed: false };
  return { fence: { ...current, held: { ...current.held, confirmed: true } }, confirmed: true };
}

/**
 * `heldThroughout`: quiet from the confirmation until now. An id that is not held ends nothing of another's, but is
 * remembered as released: its quiesce may still be on the way.
 */
export function release(fence: Fence, fenceId: string, nowMs: number): { fence: Fence; heldThroughout: boolean } {
  const current = expire(fence, nowMs);
  const ended = new Set([...current.ended, fenceId]);
  if (current.held?.fenceId !== fenceId) return { fence: { ...current, ended }, heldThroughout: false };
  return { fence: { held: undefined, ended }, heldThroughout: current.held.confirmed };
}

export function expire(fence: Fence, nowMs: number): Fence {
  if (fence.held === undefined || nowMs < fence.held.expiresAtMs) return fence;
  return { held: undefined, ended: new Set([...fence.ended, fence.held.fenceId]) };
}
