import { describe, expect, it } from "vitest";
import { benchLargeIndex } from "../bench/large-index.ts";
import { benchVaultPath } from "../bench/vault-path.ts";

describe("the benchmark", () => {
  it("measures every step on data that came back whole", { timeout: 180_000 }, async () => {
    const steps: string[] = [];
    const figures = await benchVaultPath({ megabytes: 2, smallFiles: 20, peers: [], log: (line) => steps.push(line) });
    const names = figures.map(({ name }) => name);
    for (const name of [
      "backup to local disk",
      "restore from local disk",
      "unchanged second backup",
      "small files, backup",
    ])
      expect(names).toContain(name);
    for (const { value, unit, ratio } of figures) {
      expect(value).toBeGreaterThanOrEqual(0);
      expect(unit).not.toBe("");
      expect(ratio).toBeNull();
    }
    expect(figures.find(({ name }) => name === "unchanged second backup, stored")?.value).toBe(0);
    expect(steps.length).toBeGreaterThan(2);
  });

  it("measures a repository of many chunks, with all of them in its index", { timeout: 180_000 }, async () => {
    const figures = await benchLargeIndex({ chunks: 200_000, kind: "small", log: () => undefined });
    expect(figures.find(({ name }) => name.endsWith("index objects"))?.value).toBe(98);
    // Sixty bytes for each chunk at least: it is on disk that they are.
    expect(figures.find(({ name }) => name.endsWith("on disk"))?.value).toBeGreaterThan(8);
    for (const { value, goal } of figures) expect(goal === null ? value : goal).toBeGreaterThan(0);
  });
});
