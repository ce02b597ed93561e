import { describe, expect, it } from "vitest";
import { shipFigures } from "../src/ship/ship-area.ts";

const pair = (off: number, on: number) => ({ off: { rate: off, cpuMs: 0 }, on: { rate: on, cpuMs: 2_000 } });

describe("what shipping costs", () => {
  it("is the middle of what each pair of neighbouring rounds lost, so that a machine that grows slower costs nothing", () => {
    const figures = shipFigures("Store", [pair(1000, 960), pair(500, 480), pair(100, 50)], 10);
    const cost = figures.find(({ name }) => name.includes("middle"));
    expect(cost).toMatchObject({ goal: 5, met: true, unit: "%" });
    expect(cost?.value).toBeCloseTo(4);
    expect(figures.find(({ name }) => name.includes("of one core"))?.value).toBeCloseTo(20);
  });

  it("is told beside what the maker's own tool costs, and how much there was to ship", () => {
    const turn = {
      off: { rate: 100, cpuMs: 0 },
      on: { rate: 98, cpuMs: 0, loggedBytes: 5e7 },
      peer: { rate: 93, cpuMs: 0 },
    };
    const figures = shipFigures("Store", [turn], 10, "receiver");
    expect(figures.find(({ name }) => name.includes("cost of receiver"))?.value).toBeCloseTo(7);
    expect(figures.find(({ name }) => name.includes("grew"))).toMatchObject({ value: 5, unit: "MB/s" });
  });

  it("is missed where it is more than a twentieth", () => {
    const cost = shipFigures("Store", [pair(100, 94)], 10).find(({ name }) => name.includes("middle"));
    expect(cost?.met).toBe(false);
  });
});
