import { describe, expect, it } from "vitest";
import { pausedAt } from "../proof/model/paused.ts";

const MOST_CALLS = 100;

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
