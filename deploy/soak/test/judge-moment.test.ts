import { describe, expect, test } from "vitest";
import { type GraphWrite, judgeMoment, lossMs, type MomentTarget } from "../src/neo4j-moments/judge-moment.ts";

const written: GraphWrite[] = [
  { worker: 0, seq: 1, askedMs: 100, acknowledged: { txId: 11, ms: 110 } },
  { worker: 1, seq: 1, askedMs: 105, acknowledged: { txId: 12, ms: 120 } },
  { worker: 0, seq: 2, askedMs: 120, acknowledged: { txId: 13, ms: 130 } },
  { worker: 1, seq: 2, askedMs: 140 },
  { worker: 1, seq: 3, askedMs: 150, acknowledged: { txId: 14, ms: 160 } },
];
const judged = (target: MomentTarget, writes: string[], sum = 10, failed: string[] = []) =>
  judgeMoment(written, target, { writes: new Set(writes), sum, failed }, 10);

describe("a graph that was restored to a target", () => {
  test("is right with all before it and nothing after it; what nobody knows of may be there or not", () => {
    expect(judged({ at: "transaction", txId: 13 }, ["0/1", "1/1", "0/2"])).toEqual([]);
    expect(judged({ at: "transaction", txId: 12 }, ["0/1", "1/1", "0/2"]), "its bookmark may be a later one's").toEqual(
      [],
    );
    expect(judged({ at: "moment", ms: 135 }, ["0/1", "1/1", "0/2"])).toEqual([]);
    expect(judged({ at: "moment", ms: 125 }, ["0/1", "1/1"]), "it was under way then").toEqual([]);
    expect(judged({ at: "moment", ms: 125 }, ["0/1", "1/1", "0/2"])).toEqual([]);
    expect(judged({ at: "moment", ms: 170 }, ["0/1", "1/1", "0/2", "1/3"])).toEqual([]);
    expect(judged({ at: "moment", ms: 170 }, ["0/1", "1/1", "0/2", "1/2", "1/3"])).toEqual([]);
    expect(judged({ at: "latest" }, ["0/1"])).toEqual([]);
  });

  test("is wrong with a write too few, too many, skipped or invented, another sum, or a failed check", () => {
    expect(judged({ at: "transaction", txId: 13 }, ["0/1", "0/2"])).toEqual([
      expect.stringMatching(/1 writes were committed before/),
    ]);
    expect(judged({ at: "moment", ms: 135 }, ["0/1", "1/1"])).toEqual([expect.stringMatching(/missing: 0\/2/)]);
    expect(judged({ at: "transaction", txId: 11 }, ["0/1", "1/1", "0/2"])).toEqual([
      expect.stringMatching(/begun after/),
    ]);
    expect(judged({ at: "moment", ms: 135 }, ["0/1", "1/1", "0/2", "1/2"])).toEqual([
      expect.stringMatching(/there: 1\/2/),
    ]);
    expect(judged({ at: "latest" }, ["0/2"])).toEqual([
      expect.stringMatching(/missing before later ones of their writer: 0\/1/),
    ]);
    expect(judged({ at: "latest" }, ["9/9"])).toEqual([expect.stringMatching(/nobody made/)]);
    expect(judged({ at: "latest" }, [], 9)).toEqual([expect.stringMatching(/sum is 9/)]);
    expect(judged({ at: "latest" }, [], 10, ["consistency"])).toEqual([expect.stringMatching(/consistency/)]);
  });
});

test("what was lost is as old as the newest write that came back", () => {
  expect(lossMs(written, new Set(["0/1", "1/1"]), 200)).toBe(80);
  expect(lossMs(written, new Set(["0/1", "1/1", "0/2", "1/3"]), 200), "nothing that was acknowledged").toBe(0);
});
