import { randomBytes } from "node:crypto";
import { expect, it } from "vitest";
import { packNumbers } from "../src/garbage/pack-numbers.ts";

it("packs are numbered in the order in which they come, once, however many and however alike their ids are", () => {
  const numbers = packNumbers();
  const alike = Array.from({ length: 300 }, (_, i) => "00".repeat(30) + i.toString(16).padStart(4, "0"));
  const ids = [...alike, ...Array.from({ length: 20_000 }, () => randomBytes(32).toString("hex"))];
  expect(numbers.of(ids[0] ?? "")).toBeUndefined();
  expect(ids.map((id) => numbers.give(id))).toEqual(ids.map((_, i) => i));
  expect(ids.map((id) => numbers.give(id))).toEqual(ids.map((_, i) => i));
  expect(ids.map((id) => numbers.of(id))).toEqual(ids.map((_, i) => i));
  expect(ids.map((_, i) => numbers.idOf(i))).toEqual(ids);
  expect(numbers.count).toBe(ids.length);
  expect(numbers.of(randomBytes(32).toString("hex"))).toBeUndefined();
});
