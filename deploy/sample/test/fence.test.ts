import { describe, expect, test } from "vitest";
import { confirm, expire, type Fence, OPEN, quiesce, release } from "../src/fence.ts";
import { below, pick, randomOf } from "../src/random.ts";

function held(fenceId: string, nowMs: number, ttlMs = 1_000): Fence {
  const { fence } = quiesce(OPEN, { fenceId, ttlMs }, nowMs);
  return confirm(fence, fenceId, nowMs).fence;
}

describe("one fence", () => {
  test("confirmed and released in time was held throughout", () => {
    expect(release(held("a", 0), "a", 999).heldThroughout).toBe(true);
  });

  test("released before its confirmation was not held throughout", () => {
    const { fence } = quiesce(OPEN, { fenceId: "a", ttlMs: 1_000 }, 0);
    expect(release(fence, "a", 1).heldThroughout).toBe(false);
  });

  test("is over at its expiry to the millisecond, with no timer's help", () => {
    const { fence, heldThroughout } = release(held("a", 0), "a", 1_000);
    expect(heldThroughout).toBe(false);
    expect(fence.held).toBeUndefined();
  });

  test("cannot be confirmed after its expiry", () => {
    const { fence } = quiesce(OPEN, { fenceId: "a", ttlMs: 1_000 }, 0);
    expect(confirm(fence, "a", 1_000).confirmed).toBe(false);
  });

  test("asked for again is the same fence, with the expiry it had", () => {
    const again = quiesce(held("a", 0), { fenceId: "a", ttlMs: 60_000 }, 500);
    expect(again.answer).toBe("held");
    expect(again.fence.held).toMatchObject({ expiresAtMs: 1_000, confirmed: true });
  });
});

describe("other fences", () => {
  test("another id is refused while one is held, and taken when it has expired", () => {
    const fence = held("a", 0);
    expect(quiesce(fence, { fenceId: "b", ttlMs: 1_000 }, 999).answer).toBe("held-by-another");
    expect(quiesce(fence, { fenceId: "b", ttlMs: 1_000 }, 1_000).answer).toBe("held");
  });

  test("an id once released or expired is never held again", () => {
    const released = release(held("a", 0), "a", 1).fence;
    expect(quiesce(released, { fenceId: "a", ttlMs: 1_000 }, 2).answer).toBe("ended");
    const expired = expire(held("b", 0), 5_000);
    expect(quiesce(expired, { fenceId: "b", ttlMs: 1_000 }, 5_001).answer).toBe("ended");
  });

  test("a quiesce that arrives after its release holds nothing", () => {
    const released = release(OPEN, "a", 0);
    expect(released.heldThroughout).toBe(false);
    const late = quiesce(released.fence, { fenceId: "a", ttlMs: 1_000 }, 1);
    expect(late.answer).toBe("ended");
    expect(late.fence.held).toBeUndefined();
  });

  test("the release of an unknown or older id leaves the fence that is held", () => {
    const older = release(held("a", 0), "a", 1).fence;
    const fence = confirm(quiesce(older, { fenceId: "b", ttlMs: 1_000 }, 2).fence, "b", 3).fence;
    for (const id of ["a", "never-seen"]) {
      const answer = release(fence, id, 4);
      expect(answer.heldThroughout).toBe(false);
      expect(answer.fence.held).toEqual(fence.held);
    }
  });
});

test("whatever is asked in whatever order: never two at once, never again after the end, never a false true", () => {
  const random = randomOf("fence orders");
  for (let round = 0; round < 300; round++) {
    let fence = OPEN;
    let nowMs = 0;
    let confirmedAtMs: { id: string; at: number; until: number } | undefined;
    const ended = new Set<string>();
    for (let step = 0; step < 40; step++) {
      nowMs += below(random, 400);
      const fenceId = pick(random, ["a", "b", "c", "d"]);
      const before = expire(fence, nowMs).held;
      if (fence.held !== undefined && before === undefined) ended.add(fence.held.fenceId);
      switch (pick(random, ["quiesce", "confirm", "release"])) {
        case "quiesce": {
          const ttlMs = 1 + below(random, 1_000);
          const { fence: next, answer } = quiesce(fence, { fenceId, ttlMs }, nowMs);
          if (answer === "held") expect(ended.has(fenceId)).toBe(false);
          if (before !== undefined) expect(next.held).toEqual(before);
          fence = next;
          break;
        }
        case "confirm": {
          const { fence: next, confirmed } = confirm(fence, fenceId, nowMs);
          expect(confirmed).toBe(before?.fenceId === fenceId);
          if (confirmed && before?.confirmed === false) {
            confirmedAtMs = { id: fenceId, at: nowMs, until: before.expiresAtMs };
          }
          fence = next;
          break;
        }
        case "release": {
          const { fence: next, heldThroughout } = release(fence, fenceId, nowMs);
          const truly = confirmedAtMs?.id === fenceId && nowMs < confirmedAtMs.until && before?.fenceId === fenceId;
          expect(heldThroughout).toBe(truly);
          ended.add(fenceId);
          fence = next;
        }
      }
    }
  }
});
