import { describe, expect, it } from "vitest";
import { packUse } from "../src/garbage/pack-use.ts";
import { randomFrom } from "./trial.ts";

const A = "a".repeat(64);

describe("the use of packs", () => {
  it("knows each position that was added, and no other, in packs of any length", () => {
    const use = packUse();
    const random = randomFrom("positions");
    const truth = new Map<string, Set<number>>();
    for (let i = 0; i < 4_000; i++) {
      const [a = 0, b = 0, c = 0] = random(3);
      const packId = (a % 100).toString(16).padStart(64, "0");
      const position = a % 3 === 0 ? b * 20 + c : b % 64;
      const positions = truth.get(packId) ?? new Set();
      expect(use.add({ packId, position, length: position + 1 })).toBe(!positions.has(position));
      truth.set(packId, positions.add(position));
    }
    for (const [packId, positions] of truth) {
      for (let position = 0; position < 6_000; position++)
        if (use.uses(packId, position) !== positions.has(position)) expect.unreachable(`${packId} ${position}`);
      const bytes = [...positions].reduce((sum, position) => sum + position + 1, 0);
      expect(use.live(packId)).toEqual({ chunks: positions.size, bytes });
    }
    expect([...use.packIds()].sort()).toEqual([...truth.keys()].sort());
  });

  it("begins anew for a pack that was dropped", () => {
    const use = packUse();
    use.add({ packId: A, position: 3, length: 5 });
    use.drop(A);
    expect([use.has(A), use.uses(A, 3), use.live(A).chunks]).toEqual([false, false, 0]);
    expect(use.add({ packId: A, position: 3, length: 5 })).toBe(true);
    expect(use.live(A)).toEqual({ chunks: 1, bytes: 5 });
  });
});
