import { globSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { textOf } from "./compose-file.ts";
import { root, services, settingsByHeading, settingsOf } from "./service-settings.ts";

const guide = textOf("docs/guide/settings.md");

function documented(heading: string): { name: string; default: string }[] {
  const section = guide.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? "";
  return [...section.matchAll(/^\| `(STILLPOINT_\w+)` \|([^|]*)\|/gm)].map(([, name = "", value = ""]) => ({
    name,
    default: value.trim().replaceAll("`", ""),
  }));
}

test.each([...settingsByHeading])(
  "the guide has the settings of %s, with their defaults, and no other",
  (heading, schema) => {
    const declared = settingsOf(schema).map(({ name, isRequired, ...rest }) => ({
      name,
      default: isRequired ? "required" : rest.default,
    }));
    expect(documented(heading)).toEqual(declared);
  },
);

test("no service is left out", () => {
  const headings = services.map((name) => (name.startsWith("agent-") ? "agents" : name));
  expect(headings.filter((heading) => !settingsByHeading.has(heading))).toEqual([]);
});

test("no source reads a variable of ours that the guide does not have, and the guide has none that no source reads", () => {
  const sources = globSync(["packages/*/src/**/*.ts", "services/*/src/**/*.ts"], { cwd: fileURLToPath(root) });
  const names = (text: string) => text.match(/\bSTILLPOINT_[A-Z0-9_]+/g) ?? [];
  const own = sources.filter((path) => !path.startsWith("packages/testkit/")).map(textOf);
  expect([...new Set(names(guide))].sort()).toEqual([...new Set(own.flatMap(names))].sort());
});
