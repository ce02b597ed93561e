import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { DEFAULT_PLAN } from "../src/default-plan.ts";
import { samplePlan, samplePlanText } from "../src/plan.ts";

test("plan.yaml is what the sample says its plan is", () => {
  const file = readFileSync(new URL("../plan.yaml", import.meta.url), "utf8");
  expect(file).toBe(samplePlanText(DEFAULT_PLAN));
});

test("a store that is left out is in no rule", () => {
  const { neo4j: _, ...connections } = DEFAULT_PLAN.connections;
  const text = JSON.stringify(samplePlan({ ...DEFAULT_PLAN, connections }));
  expect(text).not.toContain("entities");
  expect(text).toContain("embeddings.documents.payload.id -> documents.document.id");
});
