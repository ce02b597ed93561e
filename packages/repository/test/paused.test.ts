import { describe, expect, it } from "vitest";
import { pausedAt, sweptBeside } from "../proof/model/paused.ts";

const MOST_CALLS = 100;

it("a backup asleep behind any of its calls is not passed by a sweep that is about to delete what it leans on", async () => {
  let done = 0;
  for (let k = 0; k < MOST_CALLS; k++) {
    const { wasUnderWay, how, violations } = await sweptBeside(k);
    expect({ k, violations }).toEqual({ k, violations: [] });
    if (how.includes("is done")) done++;
    if (!wasUnderWay) break;
  }
  expect(done).toBeGreaterThan(3);
});

describe("asleep past its lease behind any of its calls, while all that it leans on is swept,", () => {
  for (const kind of ["backup", "seal"] as const)
    it(`a ${kind} fails, or what it answers for is there`, async () => {
      const ends: string[] = [];
      for (let k = 0; k < MOST_CALLS; k++) {
        const { wasUnderWay, how, violations } = await pausedAt(kind, k);
        expect({ k, violations }).toEqual({ k, violations: [] });
        ends.push(how);
        if (!wasUnderWay) break;
      }
      expect(ends.length).toBeLessThan(MOST_CALLS);
      expect(ends.filter((how) => how.includes("LEASE_LOST")).length).toBeGreaterThan(3);
      expect(ends.at(-1)).toContain("is done");
    });
});
