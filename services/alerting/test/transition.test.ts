import type { Condition } from "@stillpoint/contracts/alerts";
import type { MaintenanceReport } from "@stillpoint/contracts/maintenance";
import { describe, expect, test } from "vitest";
import { type Observation, observeMaintenanceFinished } from "../src/observation.ts";
import { transition } from "../src/transition.ts";

const base = { key: "proof.shop", plan: "shop", detail: "d", at: "2026-03-03T00:00:00.000Z" };
const trouble = (severity: "warning" | "critical", about?: string): Observation => ({
  ...base,
  type: "trouble",
  severity,
  title: `trouble ${severity}`,
  ...(about === undefined ? {} : { about }),
});
const recovery = (about?: string): Observation => ({
  ...base,
  type: "recovery",
  title: "over",
  ...(about === undefined ? {} : { about }),
});

/** Applies one after the other and writes down what was told. */
function run(observations: readonly Observation[]): { told: (string | undefined)[]; condition: Condition | undefined } {
  let condition: Condition | undefined;
  const told = observations.map((observation, at) => {
    const after = transition(condition, observation, at + 1);
    condition = after?.condition ?? condition;
    return after?.tell;
  });
  return { told, condition };
}

describe("what is told", () => {
  test("once when it opens, not while it lasts, once when it is over, and again when it comes back", () => {
    const { told, condition } = run([
      trouble("warning"),
      trouble("warning"),
      recovery(),
      recovery(),
      trouble("warning"),
    ]);
    expect(told).toEqual(["opened", undefined, "resolved", undefined, "opened"]);
    expect(condition).toMatchObject({ state: "open", times: 1 });
  });

  test("when it gets worse, not when it gets better", () => {
    expect(run([trouble("warning"), trouble("critical"), trouble("warning")]).told).toEqual([
      "opened",
      "raised",
      undefined,
    ]);
  });

  test("nothing of good news where nothing was wrong", () => {
    expect(run([recovery()])).toEqual({ told: [undefined], condition: undefined });
  });

  test("nothing over again by an event that is delivered twice, or late", () => {
    const first = transition(undefined, trouble("warning"), 7);
    expect(transition(first?.condition, trouble("critical"), 7)).toBeUndefined();
    expect(transition(first?.condition, recovery(), 6)).toBeUndefined();
  });

  test("that an older point is good does not end the trouble of a newer one", () => {
    expect(run([trouble("critical", "p2"), recovery("p1"), recovery("p2")]).told).toEqual([
      "opened",
      undefined,
      "resolved",
    ]);
    expect(run([trouble("critical", "p2"), recovery("p3")]).told).toEqual(["opened", "resolved"]);
  });
});

test("how often it was seen is counted from its opening", () => {
  expect(run([trouble("warning"), trouble("warning"), trouble("warning")]).condition).toMatchObject({ times: 3 });
});

describe("what the care of the repository found", () => {
  const at = "2026-03-03T00:00:00.000Z";
  const finished = (rest: Partial<MaintenanceReport>): Observation[] => {
    const taskId = "01900000-0000-7000-8000-000000000001";
    const report: MaintenanceReport = {
      taskId,
      task: "check",
      requestedBy: "schedule",
      outcome: "sound",
      summary: "9 packs: sound",
      figures: {},
      problems: [],
      problemCount: 0,
      startedAt: at,
      finishedAt: at,
      ...rest,
    };
    const fact = { type: "event" as const, parameters: { taskId }, body: { report }, sequence: 1 };
    return observeMaintenanceFinished(fact as unknown as Parameters<typeof observeMaintenanceFinished>[0]); // what is looked at
  };

  test("damage is critical and named, other trouble is a warning, and a sound run ends both", () => {
    const damage = { severity: "damage" as const, where: "packs/aa/aa12", why: "it is cut short" };
    const due = { severity: "attention" as const, where: "keys/1", why: "due" };
    const damaged = finished({ outcome: "problems", problems: [damage, due], problemCount: 9 });
    expect(damaged).toMatchObject([{ type: "trouble", severity: "critical", key: "maintenance.check" }]);
    expect(damaged[0]?.detail).toBe("packs/aa/aa12: it is cut short; keys/1: due; and 7 more");
    expect(finished({ outcome: "problems", problems: [due], problemCount: 1 })).toMatchObject([
      { severity: "warning" },
    ]);
    expect(finished({ outcome: "failed" })).toMatchObject([{ type: "trouble", severity: "warning" }]);
    expect(run([...damaged, ...finished({})]).told).toEqual(["opened", "resolved"]);
  });
});
