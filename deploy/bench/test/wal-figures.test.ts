import { expect, it } from "vitest";
import { walFigures } from "../src/wal/wal-area.ts";

it("each of our ways to archive stands beside each other archiver, and alone where there is none", () => {
  const ours = [{ name: "wal serve", push: 3, fetch: 4 }];
  const figures = walFigures(ours, [
    { name: "cp", push: 6, fetch: 8 },
    { name: "other", push: 1, fetch: 2 },
  ]);
  expect(figures.map(({ name, peer, ratio }) => [name, peer, ratio])).toEqual([
    ["wal serve: push", "cp", 0.5],
    ["wal serve: push", "other", 3],
    ["wal serve: fetch", "cp", 0.5],
    ["wal serve: fetch", "other", 2],
  ]);
  expect(walFigures(ours, [])).toMatchObject([
    { value: 3, peer: null },
    { value: 4, peer: null },
  ]);
});
