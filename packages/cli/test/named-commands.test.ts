import { glob, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { expect, it } from "vitest";
import { program } from "../src/commands.ts";
import { testWorld } from "./system-fixture.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
/** Not the drivers: they know nothing of the command, and what stands in such quotes there is a name in a query. */
const READ = ["docs/**/*.md", "README.md", "packages/!(driver-*)/src/**/*.ts", "services/*/src/**/*.ts"];

/** In code spans (escaped, where they stand in a template), as a hint of its own, and at the beginning of lines of examples. */
const NAMED = [
  /\\?`stillpoint ([^`\\]+)\\?`/g,
  /"stillpoint ([^"`;]+)/g,
  /^(?:npm run )?stillpoint (?:-- )?((?:[^\n\\#]|\\\n)+)/gm,
];

/** Why there is no such command; undefined where there is. Placeholders are not looked at. */
function whyNot(root: Command, words: readonly string[]): string | undefined {
  let command = root;
  for (const word of words) {
    if (word.startsWith("--")) {
      const [name] = word.split("=");
      if (name !== "--help" && !command.options.some(({ long }) => long === name)) return `no option ${name}`;
    } else if (command.commands.length > 0 && /^[a-z][a-z-]*$/.test(word)) {
      const next = command.commands.find((each) => each.name() === word);
      if (next === undefined) return `no command ${word}`;
      command = next;
    }
  }
  return undefined;
}

it("every command that a guide, an error or a hint names is there, with its options", async () => {
  const root = program(testWorld(ROOT));
  let found = 0;
  const wrong: string[] = [];
  for await (const path of glob(READ, { cwd: ROOT })) {
    const text = await readFile(`${ROOT}/${path}`, "utf8");
    for (const form of NAMED)
      for (const [, named = ""] of text.matchAll(form)) {
        found++;
        const why = whyNot(root, named.split(": ")[0]?.replaceAll("\\\n", " ").trim().split(/\s+/) ?? []);
        if (why !== undefined) wrong.push(`${path}: stillpoint ${named}: ${why}`);
      }
  }
  expect(wrong).toEqual([]);
  expect(found).toBeGreaterThan(60);
});

it("a command or option that is not there is found", () => {
  const root = program(testWorld(ROOT));
  expect(whyNot(root, ["repo", "init", "--sole-initialiser"])).toBeUndefined();
  expect(whyNot(root, ["repo", "inti"])).toBe("no command inti");
  expect(whyNot(root, ["repo", "init", "--whatever"])).toBe("no option --whatever");
});
