import { worldIn } from "@stillpoint/bench/ship/shipped-system";
import { PARTS_DIRECTORY } from "@stillpoint/testkit/parts-directory";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { expect, it } from "vitest";
import { soakFilesMoments } from "../src/files-moments/files-moments.ts";
import { judgeFiles, type Step, treeAfter } from "../src/files-moments/judge-files.ts";

const SEED = Number(process.env.STILLPOINT_TEST_SEED ?? Date.now() % 1_000_000);

it("a tree that came back is judged by the changes before the mark, and by those that were under way", () => {
  const steps: Step[] = [
    [["a", "1"]],
    [["b", "1"]],
    [["a", "2"]],
    [
      ["b.new", undefined],
      ["b", "2"],
    ],
    [["a", undefined]],
  ];
  const judge = (found: Record<string, string>, before: number, after = before, whole = true) =>
    judgeFiles(steps, new Map(Object.entries(found)), { before, after, whole });
  expect(Object.fromEntries(treeAfter(steps, 4))).toEqual({ a: "2", b: "2" });
  expect(judge({ a: "2", b: "1" }, 3)).toEqual([]);
  expect(judge({ a: "2", b: "1" }, 2, 4)).toEqual([]);
  expect(judge({ a: "1", b: "1" }, 3), "too old").toEqual([expect.stringContaining('a has "1", and had "2"')]);
  expect(judge({ b: "2" }, 4), "a file that is missing").toEqual([expect.stringContaining("not even itself")]);
  expect(judge({ a: "2", b: "2", c: "1" }, 4), "one that was never there").toHaveLength(1);
  expect(judge({ a: "1", b: "2" }, 2, 4), "of two moments").toEqual([expect.stringContaining("not all at one moment")]);
  expect(judge({ a: "1", b: "2" }, 2, 4, false)).toEqual([]);
  expect(judge({ b: "2" }, 4, 5, false)).toEqual([]);
});

it(`three points of a tree that is written to come back as they were (STILLPOINT_TEST_SEED=${SEED})`, async () => {
  await using directory = await temporaryDirectory("files-moments");
  const lines: string[] = [];
  const world = worldIn(directory.path, PARTS_DIRECTORY, new AbortController().signal);
  const told = { ...world, out: (text: string) => void lines.push(text) };
  const args = ["--restores", "3", "--seed", String(SEED), "--apart", "300"];
  expect(await soakFilesMoments(told, args), lines.join("")).toEqual([]);
  expect(lines.filter((line) => line.startsWith("✓"))).toHaveLength(3);
});
