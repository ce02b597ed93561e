import * as fences from "./fence.ts";
import type { Journal } from "./journal.ts";
import type { Ledger } from "./ledger.ts";

/** How the hook behaves. All but `honest` are for tests, which must see what happens when an application breaks its word. */
export type HookManner =
  | { manner: "honest" }
  /** Confirms at once and stops nobody. */
  | { manner: "disabled" }
  /** Stops the writers, and says at the release that it did not hold. */
  | { manner: "denying" }
  /** Goes on after this long, whatever was asked. */
  | { manner: "hasty"; afterMs: number };

export type QuiesceReply =
  | { status: "confirmed"; sequence: number }
  | { status: "held-by-another" | "ended" | "expired" };

export type Gate = ReturnType<typeof createGate>;

export type GateOptions = {
  ledger: Ledger;
  journal: Journal;
  monotonicMs: () => number;
  now: () => number;
  manner: HookManner;
};

/** The fence with its effects: writers wait at it, its expiry has a timer, and the journal tells what happened. */
export function createGate({ ledger, journal, monotonicMs, now, manner }: GateOptions) {
  let fence = fences.OPEN;
  let timer: NodeJS.Timeout | undefined;
  let opened = Promise.withResolvers<void>();
  const at = () => new Date(now()).toISOString();

  function change(next: fences.Fence): void {
    const before = fence.held;
    fence = next;
    if (before !== undefined && next.held === undefined) {
      clearTimeout(timer);
      opened.resolve();
      opened = Promise.withResolvers();
    }
  }

  function expireIfDue(): void {
    const held = fence.held;
    const next = fences.expire(fence, monotonicMs());
    if (held !== undefined && next.held === undefined) {
      journal.append({ event: "expired", fenceId: held.fenceId, at: at() });
    }
    change(next);
  }

  /** A timer may fire a little early by the monotonic clock: then it is set again for the rest. */
  function armTimer(): void {
    clearTimeout(timer);
    if (fence.held === undefined) return;
    timer = setTimeout(
      () => {
        expireIfDue();
        armTimer();
      },
      Math.max(1, fence.held.expiresAtMs - monotonicMs()),
    );
  }

  return {
    /** For writers: undefined means write now. */
    mayWrite(): Promise<void> | undefined {
      return fence.held === undefined || manner.manner === "disabled" ? undefined : opened.promise;
    },
    async quiesce(fenceId: string, askedTtlMs: number): Promise<QuiesceReply> {
      expireIfDue();
      const ttlMs = manner.manner === "hasty" ? Math.min(manner.afterMs, askedTtlMs) : askedTtlMs;
      const { fence: next, answer } = fences.quiesce(fence, { fenceId, ttlMs }, monotonicMs());
      const isNew = next.held !== fence.held;
      change(next);
      if (answer !== "held") return { status: answer };
      if (isNew) armTimer();
      if (manner.manner !== "disabled") await Promise.race([ledger.drained(), opened.promise]);
      expireIfDue();
      const wasConfirmed = fence.held?.confirmed === true;
      const confirmation = fences.confirm(fence, fenceId, monotonicMs());
      change(confirmation.fence);
      if (!confirmation.confirmed) return { status: "expired" };
      const sequence = ledger.acknowledged();
      if (!wasConfirmed) journal.append({ event: "confirmed", fenceId, sequence, at: at() });
      return { status: "confirmed", sequence };
    },
    release(fenceId: string): { heldThroughout: boolean } {
      expireIfDue();
      const wasHeld = fence.held?.fenceId === fenceId;
      const { fence: next, heldThroughout: truth } = fences.release(fence, fenceId, monotonicMs());
      const heldThroughout = manner.manner === "denying" ? false : truth;
      change(next);
      if (wasHeld) journal.append({ event: "released", fenceId, heldThroughout, at: at() });
      return { heldThroughout };
    },
    held(): { fenceId: string; confirmed: boolean; remainingMs: number } | undefined {
      expireIfDue();
      if (fence.held === undefined) return undefined;
      const { fenceId, confirmed, expiresAtMs } = fence.held;
      return { fenceId, confirmed, remainingMs: Math.max(0, expiresAtMs - monotonicMs()) };
    },
    close(): void {
      clearTimeout(timer);
      opened.resolve();
    },
  };
}
