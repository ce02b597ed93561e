import { expect, test } from "vitest";
import { estimateBytes, fencePlan } from "../src/fence-plan.ts";

test("what is small may be taken by a snapshot at the end of the budget, what is large may not", () => {
  expect(fencePlan(5_000, 50e6)).toMatchObject({ classicAllowed: true, endMs: 4_500 });
  expect(fencePlan(5_000, 5e9)).toMatchObject({ classicAllowed: false, endMs: 4_500 });
});

test("the gate ends while there is time for what comes after it", () => {
  for (const budgetMs of [500, 1_000, 5_000, 60_000]) {
    for (const bytes of [0, 1e6, 1e8, 1e10]) {
      const { gateMs, classicAllowed, endMs } = fencePlan(budgetMs, bytes);
      expect(gateMs).toBeGreaterThan(0);
      expect(endMs - gateMs).toBeGreaterThanOrEqual(classicAllowed ? 300 : 0.25 * budgetMs);
    }
  }
});

test("a collection's weight is that of its vectors, unnamed or named", () => {
  const one = estimateBytes(1_000, { vectors: { size: 128, distance: "Cosine" } });
  expect(one).toBe(1_000 * (512 + 512));
  expect(estimateBytes(1_000, { vectors: { a: { size: 64 }, b: { size: 64 } } })).toBe(one);
  expect(estimateBytes(10, { vectors: {}, sparse_vectors: { words: {} } })).toBe(5_120);
});
