import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { targetSpec, targetsSpec } from "../src/target-spec.ts";

const guide = readFileSync(new URL("../../../docs/guide/targets.md", import.meta.url), "utf8");
const table = guide.split(/^\| field \| default \| what \|$/m)[1]?.split("\n\n")[0] ?? "";
const rows = [...table.matchAll(/^\| `(\w+)` \| ([^|]*) \| (.*) \|$/gm)].map(
  ([, field = "", value = "", what = ""]) => ({
    field,
    default: value.replaceAll("`", ""),
    what,
  }),
);

describe("the guide to targets", () => {
  it("has every field of a target, and no other", () => {
    expect(rows.map(({ field }) => field)).toEqual(Object.keys(targetSpec.shape));
  });

  it("tells the defaults that are in force", () => {
    const inForce = targetSpec.parse({ url: "s3://bucket" });
    for (const { field, default: told } of rows) {
      const value = Object.entries(inForce).find(([name]) => name === field)?.[1];
      if (typeof value === "string" && field !== "url") expect(told).toBe(value);
    }
    expect(rows.find(({ field }) => field === "url")?.default).toBe("required");
  });

  it("has examples that are accepted", () => {
    const examples = [...guide.matchAll(/```yaml\n(.*?)```/gs)].map(([, text = ""]) => text);
    expect(examples).toHaveLength(1);
    for (const text of examples) expect(targetsSpec.safeParse(parse(text)).error?.issues ?? []).toEqual([]);
  });
});
