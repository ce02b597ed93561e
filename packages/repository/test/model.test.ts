import { describe, expect, it } from "vitest";
import { runModel } from "../proof/model/run-model.ts";
import { shrink } from "../proof/model/shrink.ts";
import { drawSteps, type Step } from "../proof/model/steps.ts";
import { WORK_KINDS, type WorkKind } from "../proof/model/works.ts";

/** `npm run soak -- model` draws others. */
const SEED = 4;
/** Even ones have short leases, odd ones such as outlive the grace. */
const BOTH = [SEED, SEED + 3];

/** A collector that looks at nothing. */
const careless: WorkKind = {
  kind: "careless",
  weight: 30,
  make: () => ({
    title: "delete any pack",
    run: async ({ store }) => {
      for await (const { name } of store.list("packs/")) return await store.delete(name);
    },
    done: () => undefined,
  }),
};

describe("the repository and a simple model of it", () => {
  it.each(BOTH)("agree after each of 200 drawn steps of seed %i", async (seed) => {
    const { violations, trace, failedAt, figures } = await runModel(seed, drawSteps(seed, 200));
    expect({ violations, failedAt, trace: violations.length > 0 ? trace.slice(-200) : [] }).toEqual({
      violations: [],
      failedAt: undefined,
      trace: [],
    });
    expect(figures.points).toBeGreaterThan(2);
    for (const what of ["collect garbage", "promote memory:\\w+", "rotate the passphrase's slot", "replicate"])
      expect(trace.join("\n")).toMatch(new RegExp(`${what} in process \\d+ is done`));
  });

  it("do the same again from the same seed, to the last call of a store", async () => {
    const steps = drawSteps(SEED + 1, 40);
    expect((await runModel(SEED, steps)).digest).toBe((await runModel(SEED, steps)).digest);
    expect((await runModel(SEED, drawSteps(SEED + 2, 40))).digest).not.toBe((await runModel(SEED, steps)).digest);
  });

  it("disagree where something deletes what is needed, and the sequence shrinks to what that takes", async () => {
    const run = (steps: readonly Step[]) => runModel(SEED, steps, [...WORK_KINDS, careless]);
    const { failedAt, violations } = await run(drawSteps(SEED, 120));
    expect(violations.join("\n")).toMatch(/packs\/.* the object is missing/);
    const fails = async (steps: readonly Step[]) => (await run(steps)).failedAt !== undefined;
    const shrunk = await shrink(drawSteps(SEED, failedAt ?? 0), fails, 60);
    expect(shrunk.length).toBeLessThan(12);
    expect(await fails(shrunk)).toBe(true);
  });
});
