import { expect, it } from "vitest";
import { replayRateOf } from "../src/replay-rate.ts";

it("a log's rate is what a rehearsal replayed of it in its time, and none is taken from a log that is replayed while the server starts", () => {
  expect(replayRateOf({ bytes: 200_000_000, ms: 4_000 })).toBe(50_000_000);
  expect(replayRateOf({ bytes: 3 * 16_777_216, ms: 700 })).toBeUndefined();
  expect(replayRateOf(undefined)).toBeUndefined();
});
