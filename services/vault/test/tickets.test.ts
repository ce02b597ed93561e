import { describe, expect, it } from "vitest";
import { mintTicket, permitsReading, permitsWriting, verifyTicket } from "../src/tickets.ts";

const key = Buffer.alloc(32, 7);
const runId = "01900000-0000-7000-8000-000000000001";
const capture = {
  purpose: "capture",
  runId,
  plan: "shop",
  source: "orders",
  kind: "postgres",
  fenceToken: 12,
} as const;

describe("a ticket", () => {
  it("gives its claims back until it expires", () => {
    const ticket = mintTicket(key, capture, 1_000);
    expect(verifyTicket(key, `Bearer ${ticket}`, 1_000)).toEqual(capture);
    expect(() => verifyTicket(key, `Bearer ${ticket}`, 1_001)).toThrow(/expired/);
  });

  it.each([
    ["another repository's", mintTicket(Buffer.alloc(32, 8), capture, 1_000)],
    ["one whose claims were changed", mintTicket(key, capture, 1_000).replace(/^./, "f")],
    ["half of one", mintTicket(key, capture, 1_000).slice(0, -5)],
    ["none", undefined],
  ])("is refused when it is %s", (_, ticket) => {
    expect(() => verifyTicket(key, ticket === undefined ? undefined : `Bearer ${ticket}`, 0)).toThrow(/not minted/);
  });

  it("lets an attempt write its own backups and no later attempt's", () => {
    expect(permitsWriting(capture, `${runId}_orders_12_base1`)).toBe(true);
    expect(permitsWriting(capture, `${runId}_orders_13_base1`)).toBe(false);
    expect(permitsWriting(capture, `${runId}_orders_1_base1`)).toBe(false);
    expect(
      permitsWriting(
        { purpose: "restore", pointId: runId, backups: [`${runId}_orders_12_base1`] },
        `${runId}_orders_12_base1`,
      ),
    ).toBe(false);
  });

  it("lets a restore read the backups that it names, and no other", () => {
    const restore = { purpose: "restore", pointId: runId, backups: ["a_b_1_base1"] } as const;
    expect(permitsReading({ ...restore, backups: [...restore.backups] }, "a_b_1_base1")).toBe(true);
    expect(permitsReading({ ...restore, backups: [...restore.backups] }, "a_b_1_base2")).toBe(false);
    expect(permitsReading({ purpose: "results", proofId: runId }, "a_b_1_base1")).toBe(false);
  });
});
