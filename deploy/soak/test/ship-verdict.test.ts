import { describe, expect, it } from "vitest";
import { judgeFound } from "../src/ship/probes.ts";
import { type Sample, verdict } from "../src/ship/verdict.ts";

const MIB = 2 ** 20;
const samples = (of: (at: number) => Partial<Sample>): Sample[] =>
  Array.from({ length: 24 }, (_, at) => ({
    ...{
      atMs: at * 1_000,
      objects: 500,
      bytes: 100 * MIB,
      tails: 100,
      overdue: 0,
      pss: new Map([["vault", 200 * MIB]]),
    },
    ...of(at),
  }));

describe("the verdict on a soak of shipping", () => {
  it("finds nothing in what fills up at first and then goes up and down", () => {
    expect(verdict(samples((at) => ({ objects: Math.min(at, 8) * 50 + (at % 5) * 20 })))).toEqual([]);
  });

  it("names what grows until the end: objects, bytes, tails, a process's memory", () => {
    const grown = verdict(
      samples((at) => ({
        objects: at * 50,
        bytes: at * 10 * MIB,
        tails: at * 50,
        pss: new Map([
          ["vault", (100 + at * 20) * MIB],
          ["nats", 30 * MIB],
        ]),
      })),
    );
    expect(grown).toHaveLength(4);
    for (const what of ["objects", "bytes", "tails", "memory of vault"])
      expect(grown).toContainEqual(expect.stringContaining(what));
  });

  it("names what is superseded and stays, and says where it has seen too little to judge", () => {
    expect(verdict(samples((at) => ({ overdue: at > 20 ? 3 : 0 })))).toEqual([
      "3 tails are superseded and were not collected",
    ]);
    expect(verdict(samples(() => ({})).slice(0, 3))).not.toEqual([]);
  });
});

describe("what a restored store is judged by", () => {
  const acked = [1, 2, 3].map((n) => ({ n, beganMs: n * 100, ackedMs: n * 100 + 10 }));
  const probes = { acked, underWay: { n: 4, beganMs: 400 } };
  const found = (newest: number, rows = newest, balance = 0) => ({ newest, rows, balance, failed: [] as string[] });

  it("is right with everything acknowledged before its moment, with or without what was under way at it", () => {
    expect(judgeFound(probes, found(2), { heldMs: 215, nothingAfterMs: 250 })).toEqual([]);
    for (const newest of [2, 3])
      expect(judgeFound(probes, found(newest), { heldMs: 305, nothingAfterMs: 305 })).toEqual([]);
    expect(judgeFound(probes, found(4), { heldMs: 310, nothingAfterMs: Number.POSITIVE_INFINITY })).toEqual([]);
  });

  it.each([
    ["lacks what was acknowledged", found(1)],
    ["has what was begun later", found(3)],
    ["has a row left out", found(2, 1)],
    ["has money lost", found(2, 2, -5)],
    ["does not pass its own checks", { ...found(2), failed: ["B-tree indexes: broken"] }],
  ])("is wrong where it %s", (_, wrong) => {
    expect(judgeFound(probes, wrong, { heldMs: 215, nothingAfterMs: 250 })).toHaveLength(1);
  });
});
