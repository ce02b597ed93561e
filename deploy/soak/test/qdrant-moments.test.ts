import { worldIn } from "@stillpoint/bench/ship/shipped-system";
import { PARTS_DIRECTORY } from "@stillpoint/testkit/parts-directory";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { expect, it } from "vitest";
import { judgeVectors, stateAfter } from "../src/qdrant-moments/judge-vectors.ts";
import { soakQdrantMoments } from "../src/qdrant-moments/qdrant-moments.ts";

const SEED = Number(process.env.STILLPOINT_TEST_SEED ?? Date.now() % 1_000_000);

it("what was restored is judged by the writes before the cut, and by those that were under way", () => {
  const judge = (found: ReadonlyMap<number, number>, acknowledged: number, sent = acknowledged, whole = true) =>
    judgeVectors(found, { acknowledged, sent, whole });
  expect(judge(stateAfter(100), 100)).toEqual([]);
  expect(judge(stateAfter(103), 100, 110)).toEqual([]);
  const back = new Map([...stateAfter(100), [62, 62]]);
  expect(judge(back, 100), "a point that was deleted").toEqual([
    expect.stringContaining("point 62 is 62, wanted none"),
  ]);
  const late = new Map([...stateAfter(100), [102, 102]]);
  expect(judge(late, 100), "one that was written after it").toEqual([expect.stringContaining("point 102 is 102")]);
  expect(judge(stateAfter(99), 100)).toHaveLength(1);
  const mixed = new Map([...stateAfter(101), [104, 104]]);
  expect(judge(mixed, 100, 110, false)).toEqual([]);
  expect(judge(mixed, 100, 110)).toEqual(["every point is as it was once, and not all at one moment"]);
});

it(`three points of a Qdrant that is written and optimized come back as they were (STILLPOINT_TEST_SEED=${SEED})`, async () => {
  await using directory = await temporaryDirectory("qdrant-moments");
  const lines: string[] = [];
  const world = worldIn(directory.path, PARTS_DIRECTORY, new AbortController().signal);
  const told = { ...world, out: (text: string) => void lines.push(text) };
  const args = { restores: 3, seed: SEED, every: 400, apart: 400 };
  const words = Object.entries(args).flatMap(([name, value]) => [`--${name}`, String(value)]);
  expect(await soakQdrantMoments(told, words), lines.join("")).toEqual([]);
  expect(lines.filter((line) => line.startsWith("✓"))).toHaveLength(3);
}, 300_000);
