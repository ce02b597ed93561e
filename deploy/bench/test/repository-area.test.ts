import { describe, expect, it } from "vitest";
import { repository } from "../src/repository-area.ts";

describe("the benchmark of the repository", () => {
  it("measures every step on data that came back whole", { timeout: 240_000 }, async () => {
    const steps: string[] = [];
    const log = (line: string) => void steps.push(line);
    const figures = await repository({
      megabytes: 4,
      smallFiles: 20,
      chunks: 1,
      rounds: 1,
      seconds: 1,
      stores: [],
      apart: false,
      s3: false,
      peers: [],
      log,
    });
    const names = figures.map(({ name }) => name);
    for (const name of [
      "local, from files: backup",
      "local, from files: restore",
      "local, agent to vault: backup",
      "small files: backup",
    ])
      expect(names).toContain(name);
    expect(names.filter((name) => /^pgbench changed .* compressed alone$/.test(name))).toHaveLength(2);
    for (const { value, unit, peer } of figures) {
      expect(value).toBeGreaterThanOrEqual(0);
      expect(unit).not.toBe("");
      expect(peer).toBeNull();
    }
    expect(figures.find(({ name }) => name === "unchanged second backup, stored")?.value).toBe(0);
    expect(steps.length).toBeGreaterThan(4);
  });
});
