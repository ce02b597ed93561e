import { StillpointError } from "@stillpoint/contracts/errors";
import { describe, expect, it } from "vitest";
import { type CutPorts, takeCut } from "../src/cut.ts";

const cut = { cutId: "01900000-0000-7000-8000-000000000001", budgetMs: 1_000 };
const members = [
  { source: "vectors", hasLog: false },
  { source: "orders", hasLog: true },
];

function recorded(overrides: {
  mark?: CutPorts["mark"];
  quiesce?: () => Promise<{ sequence?: number }>;
  fence?: boolean;
}) {
  const order: string[] = [];
  let clock = 0;
  const ports: CutPorts = {
    monotonicMs: () => ++clock,
    now: () => "2026-01-01T00:00:00.000Z",
    mark: async (source, budgetMs) => {
      order.push(`mark ${source}`);
      if (overrides.mark !== undefined) return overrides.mark(source, budgetMs);
      return { cutId: cut.cutId, position: source, detail: {}, notes: [] };
    },
  };
  if (overrides.fence !== false) {
    ports.fence = {
      quiesce: async () => {
        order.push("quiesce");
        return overrides.quiesce === undefined ? { sequence: 5 } : overrides.quiesce();
      },
      release: async () => {
        order.push("release");
        return { heldThroughout: true };
      },
    };
  }
  return { order, ports };
}

describe("a cut", () => {
  it("asks for marks only between quiesce and release", async () => {
    const { order, ports } = recorded({});
    const outcome = await takeCut(cut, members, ports);
    expect(order).toEqual(["quiesce", "mark vectors", "mark orders", "release"]);
    expect(outcome).toMatchObject({ taken: true, evidence: { consistency: "fenced", sequence: 5 } });
  });

  it("releases the fence and is void when a mark fails", async () => {
    const { order, ports } = recorded({
      mark: async (source) => {
        throw new StillpointError("SOURCE_LOST", { what: "gone", where: source });
      },
    });
    const outcome = await takeCut(cut, members, ports);
    expect(order.at(-1)).toBe("release");
    expect(outcome).toMatchObject({ taken: false, failures: [{ source: "vectors" }, { source: "orders" }] });
  });

  it("releases the fence when quiesce fails, for only its answer may be lost", async () => {
    const { order, ports } = recorded({
      quiesce: async () => {
        throw new StillpointError("FENCE_FAILED", { what: "no answer" });
      },
    });
    expect(await takeCut(cut, members, ports)).toMatchObject({ taken: false });
    expect(order).toEqual(["quiesce", "release"]);
  });

  it("does not count a mark that comes after the budget", async () => {
    const { ports } = recorded({});
    expect(await takeCut({ ...cut, budgetMs: 0 }, members, ports)).toMatchObject({
      taken: false,
      failures: [{ error: { code: "CUT_VOID" } }, { error: { code: "CUT_VOID" } }],
    });
  });

  it("without a fence marks the stores without a log first", async () => {
    const { order, ports } = recorded({ fence: false });
    const outcome = await takeCut(cut, [...members].reverse(), ports);
    expect(order).toEqual(["mark vectors", "mark orders"]);
    expect(outcome).toMatchObject({ taken: true, evidence: { consistency: "aligned" } });
  });
});
