import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { bytesToReplay } from "../src/replay-work.ts";

const SEGMENT_BYTES = 16_777_216;

describe("what a server replays of a log", () => {
  it("is all that was written, and nothing of what a segment was padded with", () => {
    const padded = Buffer.alloc(SEGMENT_BYTES);
    randomBytes(20_000).copy(padded);
    expect(bytesToReplay(padded)).toBe(20_480);
    expect(bytesToReplay(randomBytes(1_000_000))).toBe(1_000_000);
  });

  it("is the same however the bytes come", () => {
    const segment = Buffer.concat([randomBytes(100_000), Buffer.alloc(3_000_000)]);
    const pieces = [segment.subarray(0, 99_999), segment.subarray(99_999, 1_000_001), segment.subarray(1_000_001)];
    const sum = pieces.reduce((before, piece) => before + bytesToReplay(piece), 0);
    expect(Math.abs(sum - 100_000)).toBeLessThan(2 * 512);
  });
});
