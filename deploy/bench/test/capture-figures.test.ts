import { describe, expect, it } from "vitest";
import { captureFigures } from "../src/capture/capture-area.ts";

describe("figures of a capture", () => {
  const own = {
    name: "stillpoint",
    full: { ms: 2_000, bytes: 10e6 },
    again: [1, 5, 3].map((s) => ({ ms: s * 1_000, bytes: s * 1e6 })),
  };
  const tool = { name: "tool", full: { ms: 4_000, bytes: 5e6 }, again: [{ ms: 1_500, bytes: 9e6 }] };

  it("stand beside each tool's, more being better, and take the middle of the rounds", () => {
    expect(
      captureFigures("store", own, [tool]).map(({ name, value, peerValue, ratio }) => [name, value, peerValue, ratio]),
    ).toEqual([
      ["store, full: time", 2, 4, 2],
      ["store, full: written", 10, 5, 0.5],
      ["store, after a change: time", 3, 1.5, 0.5],
      ["store, after a change: written", 3, 9, 3],
    ]);
  });

  it("are told of a store without tools too", () => {
    expect(captureFigures("store", own, [])).toMatchObject([{ peer: null, value: 2 }, {}, {}, {}]);
  });
});
