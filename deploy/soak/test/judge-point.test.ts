import type { Point } from "@stillpoint/contracts/point";
import type { JournalEntry } from "@stillpoint/sample/journal";
import { describe, expect, it } from "vitest";
import { judgePoint } from "../src/judge-point.ts";
import { lost } from "../src/kill.ts";
import { soakArguments } from "../src/options.ts";
import type { Held } from "../src/read-back.ts";

const at = "2026-01-01T00:00:00.000Z";
const issued = (seq: number): JournalEntry => ({ event: "issued", write: { seq, id: `id-${seq}`, relatesTo: [] }, at });
const acknowledged = (seq: number): JournalEntry => ({ event: "acknowledged", seq });
const confirmed = (fenceId: string, sequence: number): JournalEntry => ({ event: "confirmed", fenceId, sequence, at });

/** Two writes, a fence, a third. */
const JOURNAL = [
  issued(1),
  acknowledged(1),
  issued(2),
  acknowledged(2),
  confirmed("fence", 2),
  issued(3),
  acknowledged(3),
];

function held(...seqs: number[]): Held {
  return { ids: new Set(seqs.map((seq) => `id-${seq}`)), sequences: new Set(seqs) };
}

function point(cut: { cutId: string; sequence: number }, marks: Record<string, string>): Point {
  const sources = Object.entries(marks).map(([source, cutId]) => ({ source, mark: { cutId } }));
  return { pointId: "point", cut, sources } as unknown as Point; // no more of it is looked at
}

describe("a point", () => {
  const true_ = point({ cutId: "cut", sequence: 2 }, { orders: "cut", graph: "cut" });

  it("is as it must be where each store holds what was acknowledged before its fence and nothing else", () => {
    expect(
      judgePoint(
        JOURNAL,
        true_,
        new Map([
          ["orders", held(1, 2)],
          ["graph", held(1, 2)],
        ]),
      ),
    ).toEqual([]);
  });

  it("is not where a write is missing in one store, or came in late, and both stores and write are named", () => {
    const violations = judgePoint(
      JOURNAL,
      true_,
      new Map([
        ["orders", held(1)],
        ["graph", held(1, 2, 3)],
      ]),
    );
    expect(violations).toEqual([
      "orders: 1 missing (2)",
      "graph: 1 late (3)",
      "orders and graph differ in writes: 2 only in graph (2, 3)",
      "orders and graph differ in documents: 2 only in graph (id-2, id-3)",
    ]);
  });

  it("is not where its marks are of two cuts, or its fence is unknown to the application", () => {
    const mixed = point({ cutId: "cut", sequence: 7 }, { orders: "cut", graph: "other" });
    expect(judgePoint(JOURNAL, mixed, new Map())).toEqual([
      "graph has a mark of cut other, the point is of cut",
      "the application knows no fence at 7",
    ]);
  });

  it("is lost where it was sealed and is gone, or is another one now", () => {
    const other = point({ cutId: "cut", sequence: 3 }, {});
    expect(lost([true_], [true_])).toEqual([]);
    expect(lost([true_], [])).toEqual(["point point was sealed and is gone"]);
    expect(lost([true_], [other])).toEqual(["point point is not as it was sealed"]);
  });
});

describe("what a soak is asked for", () => {
  it("has rounds of its own for each kind, and a seed that can be given again", () => {
    expect(soakArguments(["bounds"], 5)).toMatchObject({ kind: "bounds", rounds: 50, seed: 5 });
    expect(soakArguments(["kill", "--rounds", "3", "--seed", "9"], 5)).toMatchObject({
      kind: "kill",
      rounds: 3,
      seed: 9,
    });
  });

  it.each([[[]], [["burn"]], [["bounds", "--rounds", "none"]], [["kill", "--round", "3"]]])(
    "is refused with its usage: %j",
    (args) => {
      expect(() => soakArguments(args, 5)).toThrow(expect.objectContaining({ code: "INVALID_REQUEST" }));
    },
  );
});
