import { join } from "node:path";
import { judge } from "@stillpoint/sample/bounds";
import { readJournal } from "@stillpoint/sample/journal";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { restoredSequences, startTestSystem, type TestSystem } from "./system-fixture.ts";

describe("the system on one machine", () => {
  let test: TestSystem;
  beforeAll(async () => {
    test = await startTestSystem({ isolate: false, validate: false });
  });
  afterAll(() => test[Symbol.asyncDispose]());

  it("makes a fenced point while the sample is written to, and a restore holds exactly what was acknowledged before it", async () => {
    const point = await test.backUp();
    expect(point.cut).toMatchObject({ consistency: "fenced", heldThroughout: true, reasons: [] });
    await using repository = await test.repository();
    const found = await restoredSequences(repository, point, join(test.directory, "restored"));
    const entries = readJournal(test.sample.journalPath);
    const fences = entries.filter((entry) => entry.event === "confirmed");
    expect(fences).toHaveLength(1);
    for (const present of found.values()) {
      expect(Math.max(...present)).toBe(point.cut.sequence);
      expect(judge(entries, fences[0]?.fenceId ?? "", present)).toEqual({ missing: [], returned: [], late: [] });
    }
  });
});
