import { describe, expect, it } from "vitest";
import { compareSorted } from "../src/compare.ts";
import { judgeEgress, judgeProof, judgeReference, judgeSequence, judgeStatement } from "../src/judge.ts";
import { type Question, queriesOf, questionsOf } from "../src/rules.ts";

async function* stream(...values: string[]): AsyncGenerator<string> {
  yield* values;
}

const [reference, sequence, statement] = questionsOf(
  [],
  [
    { reference: "vectors.products.payload.id -> orders.product.id" },
    { sequence: ["orders.log.seq", "graph.Entity.seq"] },
    { sql: "select 0", source: "orders", expect: 0 },
  ],
) as [Question, Question, Extract<Question, { rule: "statement" }>];

describe("questions", () => {
  it("split a rule into one query for each side's source, a source's own checks last", () => {
    const questions = questionsOf(
      ["orders", "vectors"],
      [{ reference: "vectors.products.payload.id -> orders.product.id" }],
    );
    expect(queriesOf("orders", questions)).toEqual([
      { type: "values", id: "rule0-to", of: "product.id" },
      { type: "store", id: "store" },
    ]);
    expect(queriesOf("vectors", questions)[0]).toEqual({ type: "values", id: "rule0-from", of: "products.payload.id" });
  });
});

describe("a comparison", () => {
  it("finds what the right side lacks, with samples", async () => {
    expect(await compareSorted(stream("a", "b", "d"), stream("b", "c", "e"))).toEqual({
      left: 3,
      right: 3,
      missing: 2,
      samples: ["a", "d"],
      unsorted: false,
    });
  });
  it("is worthless where a side is not sorted", async () => {
    expect((await compareSorted(stream("b", "a"), stream("a", "b"))).unsorted).toBe(true);
    expect((await compareSorted(stream("a"), stream("b", "a"))).unsorted).toBe(true);
  });
  it("sorts as UTF-8 does, also beyond the basic plane", async () => {
    expect((await compareSorted(stream("\uffee", "😀"), stream("\uffee", "😀"))).unsorted).toBe(false);
  });
});

describe("a verdict", () => {
  const seen = { left: 3, right: 2, missing: 1, samples: ["7"], unsorted: false };

  it("fails on a missing reference of a fenced point, and leaves it open where the stores are not at one moment", () => {
    expect(judgeReference(reference, seen, { consistency: "fenced" }).verdict).toBe("fail");
    expect(judgeReference(reference, seen, { consistency: "aligned" }).verdict).toBe("inconclusive");
    expect(judgeReference(reference, { ...seen, missing: 0 }, { consistency: "fenced" }).verdict).toBe("pass");
  });
  it.each([
    ["equal and at the cut", [9, 9], 9, "pass"],
    ["a store is behind", [9, 8], 9, "fail"],
    ["all are later than the cut", [10, 10], 9, "fail"],
    ["all lack what was acknowledged before the cut", [8, 8], 9, "fail"],
    ["a store has none", [9, null], 9, "fail"],
  ] as const)("of the sequence: %s", (_, maxima, at, verdict) => {
    expect(judgeSequence(sequence, maxima, { consistency: "fenced", sequence: at }).verdict).toBe(verdict);
  });
  it("of a statement compares what a person would read", () => {
    expect(judgeStatement(statement, [["0"]]).verdict).toBe("pass");
    expect(judgeStatement(statement, [["3"]]).verdict).toBe("fail");
    expect(judgeStatement(statement, []).verdict).toBe("fail");
  });
  it("is inconclusive with an open network, unless the plan permits it", () => {
    const open = [{ address: "10.0.0.1:5432", reached: true, detail: "connected" }];
    expect(judgeEgress("orders", open, false).verdict).toBe("inconclusive");
    expect(judgeEgress("orders", open, true).verdict).toBe("pass");
    expect(judgeEgress("orders", [], false).verdict).toBe("inconclusive");
  });
  it("of the whole: a failure outweighs an open question, and nothing checked proves nothing", () => {
    const of = (verdict: "pass" | "fail" | "inconclusive") => ({ name: verdict, verdict, detail: "", sources: [] });
    expect(judgeProof([of("pass"), of("inconclusive"), of("fail")]).verdict).toBe("fail");
    expect(judgeProof([of("pass"), of("inconclusive")]).verdict).toBe("inconclusive");
    expect(judgeProof([of("pass")]).verdict).toBe("pass");
    expect(judgeProof([]).verdict).toBe("inconclusive");
  });
});
