import { readFileSync } from "node:fs";
import { keepCounts } from "@stillpoint/contracts/keep";
import { alertRule, checkRule, cutRule, hook, plan, planFile } from "@stillpoint/contracts/plan";
import { shipRule } from "@stillpoint/contracts/ship";
import { bucketRule, sourceSpec } from "@stillpoint/contracts/source";
import { readPlanFile } from "@stillpoint/gateway/plan-file";
import { describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { z } from "zod";

const textOf = (path: string) => readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8");
const guide = textOf("docs/guide/plan-file.md");

/** A schema as JSON Schema has it, as far as it is looked at here. */
const shape = z.object({
  properties: z.record(z.string(), z.unknown()),
  required: z.array(z.string()).default([]),
});
const withDefault = z.object({ default: z.unknown().optional() });

type Row = { field: string; default: string };

/** What a person can write: each field once, in order, groups as `group.field` where the guide has them so. */
function fieldsOf(schemas: readonly z.ZodType[], groups: readonly string[]): Row[] {
  const rows = schemas.flatMap((schema) =>
    rowsOf(z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }), groups),
  );
  return rows.filter(({ field }, at) => rows.findIndex((other) => other.field === field) === at);
}

function rowsOf(schema: unknown, groups: readonly string[]): Row[] {
  const { properties, required } = shape.parse(schema);
  return Object.entries(properties).flatMap(([field, value]) => {
    if (groups.includes(field)) {
      return rowsOf(value, []).map((row) => ({ ...row, field: `${field}.${row.field}` }));
    }
    return [{ field, default: required.includes(field) ? "required" : shown(withDefault.parse(value).default) }];
  });
}

function shown(value: unknown): string {
  return value === undefined ? "" : stringify(value, { collectionStyle: "flow" }).trim();
}

function documented(heading: string): Row[] {
  const section = guide.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? "";
  const table = section.slice(section.indexOf("| field |"));
  return [...table.matchAll(/^\| `([\w.]+)` \|([^|]*)\|/gm)].map(([, field = "", value = ""]) => ({
    field,
    default: value.trim().replaceAll("`", ""),
  }));
}

const sections: [string, readonly z.ZodType[], string[]][] = [
  ["The file", [planFile], []],
  ["A plan", [plan], ["objectives", "keep"]],
  ["keep.points", [keepCounts], []],
  ["ship", [shipRule], []],
  ["bucket", [bucketRule], ["notify"]],
  ["cut", [cutRule], []],
  ["hook", hook.options, []],
  ["checks", checkRule.options, []],
  ["alerts", [alertRule], []],
  ...sourceSpec.options.map((source): [string, readonly z.ZodType[], string[]] => [
    source.shape.kind.value,
    [source],
    ["watch", "budget"],
  ]),
];

test.each(sections)("the guide has every field of %s with its default, and no other", (heading, schemas, groups) => {
  expect(documented(heading)).toEqual(fieldsOf(schemas, groups));
});

describe("examples", () => {
  const examples = ["docs/guide/plan-file.md", "README.md"].flatMap((path) =>
    [...textOf(path).matchAll(/^```yaml\n([^`]+)^```$/gm)].map(([, text = ""]): [string, string] => [path, text]),
  );
  examples.push(["deploy/compose/plan/plan.yaml", textOf("deploy/compose/plan/plan.yaml")]);

  test.each(examples)("a plan file in %s is accepted", (path, text) => {
    expect(readPlanFile(text, path).plans.length).toBeGreaterThan(0);
  });

  test("the full one shows every field but numbers instead of a preset and the other hooks, and its defaults are the defaults", () => {
    const [, , full = ""] = guide.split("```yaml\n");
    const text = full.split("```")[0] ?? "";
    const written = new Set([...text.matchAll(/(\w+):(?= |$)/gm)].map(([, field = ""]) => field));
    const all = sections.flatMap(([, schemas, groups]) => fieldsOf(schemas, groups));
    const missing = all.map(({ field }) => field.split(".").at(-1) ?? "").filter((field) => !written.has(field));
    const numbers = ["last", "hourly", "daily", "weekly", "monthly", "yearly", "within"];
    expect(missing).toEqual([...numbers, "nats", "command"]);

    const { shop } = planFile.parse(parse(text)).plans;
    const { sources } = shop ?? { sources: {} };
    const bare = planFile.parse({ plans: { shop: { sources } } }).plans.shop;
    for (const field of ["objectives", "timeZone", "keep", "permitEgress", "validate"] as const) {
      expect(shop?.[field], field).toEqual(bare?.[field]);
    }
  });
});
