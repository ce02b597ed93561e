import { StillpointError } from "@stillpoint/contracts/errors";
import { describe, expect, test } from "vitest";
import { judge } from "../src/outcome.ts";
import { nextTraceparent, traceId, withTrace } from "../src/trace.ts";

const RULE = { firstDelayMs: 1_000, longestDelayMs: 60_000 };
const passing = new StillpointError("UNREACHABLE", { what: "x" });
const lasting = new StillpointError("PLAN_UNKNOWN", { what: "x" });

describe("what the server is told", () => {
  test("done is acknowledged, a delay and a stop are given back uncounted, a stop at once", () => {
    expect(judge({ type: "done" }, 1, RULE, 0)).toEqual({ act: "ack" });
    expect(judge({ type: "delayed", ms: 70 }, 1, RULE, 0)).toEqual({ act: "nak", delayMs: 70, counts: false });
    expect(judge({ type: "stopped" }, 1, RULE, 0)).toEqual({ act: "nak", delayMs: 0, counts: false });
  });

  test("what may pass is tried again after longer and longer, never longer than the limit, for ever", () => {
    const delays = [1, 2, 3, 7, 1_000].map((attempt) => judge({ type: "failed", error: passing }, attempt, RULE, 0.5));
    expect(delays.map((verdict) => (verdict.act === "nak" ? verdict.delayMs : verdict.act))).toEqual([
      1_000, 2_000, 4_000, 60_000, 60_000,
    ]);
  });

  test("a crowd that failed together does not come back together", () => {
    const [low, high] = [0, 0.999].map((random) => judge({ type: "failed", error: passing }, 1, RULE, random));
    expect(low).toMatchObject({ delayMs: 750 });
    expect(high).toMatchObject({ delayMs: 1_250 });
  });

  test("what cannot succeed, or has been tried often enough, is buried", () => {
    expect(judge({ type: "failed", error: lasting }, 1, RULE, 0)).toEqual({ act: "bury", error: lasting });
    expect(judge({ type: "failed", error: passing }, 3, { ...RULE, maxAttempts: 3 }, 0)).toEqual({
      act: "bury",
      error: passing,
    });
    expect(judge({ type: "failed", error: passing }, 2, { ...RULE, maxAttempts: 3 }, 0)).toMatchObject({ act: "nak" });
  });
});

test("what is sent while a message is handled belongs to the message's trace, in a span of its own", () => {
  const random = (count: number) => Buffer.alloc(count, 7);
  const given = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
  expect(withTrace(given, () => nextTraceparent(random))).toBe(`00-${"a".repeat(32)}-${"07".repeat(8)}-01`);
  expect(withTrace(given, traceId)).toBe("a".repeat(32));
  expect(withTrace("nonsense", () => nextTraceparent(random))).toBe(`00-${"07".repeat(16)}-${"07".repeat(8)}-01`);
  expect(traceId()).toBeUndefined();
});
