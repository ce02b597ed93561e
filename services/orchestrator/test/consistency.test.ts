import { describe, expect, it } from "vitest";
import { type CutObservation, judgeCut } from "../src/consistency.ts";

const cutId = "01900000-0000-7000-8000-000000000001";
const mark = { cutId, position: "tx 7", detail: {}, notes: [] };

function fenced(changes: Partial<CutObservation> = {}): CutObservation {
  return {
    cutId,
    mode: "fence",
    at: "2026-01-01T00:00:00.000Z",
    confirmedMs: 100,
    firstRequestMs: 101,
    releasedMs: 160,
    heldThroughout: true,
    marks: [
      { source: "orders", mark, repliedMs: 110 },
      { source: "graph", mark, repliedMs: 150 },
    ],
    ...changes,
  };
}

describe("the class of a cut", () => {
  it("is fenced when every piece of evidence is there", () => {
    const cut = judgeCut(fenced({ sequence: 12 }));
    expect(cut).toMatchObject({
      consistency: "fenced",
      reasons: [],
      windowMs: 49,
      skewMs: 40,
      fencedMs: 60,
      sequence: 12,
    });
    expect(cut.offsetsMs).toEqual({ orders: 9, graph: 49 });
  });

  it.each<[string, Partial<CutObservation>, RegExp]>([
    ["the hook lied or its fence expired", { heldThroughout: false }, /did not stay quiet/],
    ["a mark was asked for before the confirmation", { confirmedMs: 102 }, /had not confirmed/],
    ["the release left before the last mark was in", { releasedMs: 149 }, /released before/],
    [
      "a source is not at one moment",
      { marks: [{ source: "uploads", mark: { ...mark, fuzzy: "budget passed" }, repliedMs: 105 }] },
      /uploads: budget passed/,
    ],
    [
      "a mark is of another cut",
      {
        marks: [{ source: "graph", mark: { ...mark, cutId: "01900000-0000-7000-8000-000000000002" }, repliedMs: 105 }],
      },
      /another cut/,
    ],
  ])("is fuzzy, with the reason, when %s", (_, change, reason) => {
    const cut = judgeCut(fenced(change));
    expect(cut.consistency).toBe("fuzzy");
    expect(cut.reasons.join("\n")).toMatch(reason);
  });

  it("is fuzzy when the release was not answered", () => {
    const { heldThroughout: _, ...unanswered } = fenced();
    expect(judgeCut(unanswered)).toMatchObject({
      consistency: "fuzzy",
      reasons: [expect.stringMatching(/not answered/)],
    });
  });

  it("is aligned without a fence, if every store is at one moment of its own", () => {
    const { confirmedMs: _c, releasedMs: _r, heldThroughout: _h, ...seen } = fenced({ mode: "align" });
    expect(judgeCut(seen)).toMatchObject({ consistency: "aligned", windowMs: 49 });
    expect(judgeCut(seen).fencedMs).toBeUndefined();
  });
});
