import { inspect } from "node:util";
import { resolveSecret } from "@stillpoint/contracts/secret";
import { expect, test } from "vitest";

const readers = {
  environment: { PGPASSWORD: "of the environment" },
  readFile: (path: string) => {
    if (path === "/run/secrets/orders") return "of a file\n";
    throw new Error(`no such file: ${path}`);
  },
};

test("a secret is looked up in the environment or in a file, without the line's end, and is printed by nothing", () => {
  const [env, file] = ["${env:PGPASSWORD}", "${file:/run/secrets/orders}"].map((each) => resolveSecret(each, readers));
  expect(env?.reveal()).toBe("of the environment");
  expect(file?.reveal()).toBe("of a file");
  for (const shown of [String(file), JSON.stringify({ file }), inspect(file)]) expect(shown).not.toContain("of a file");
});

test("one that is not there is told by where it was looked for, and the secret itself is no reference", () => {
  expect(() => resolveSecret("${env:NOTHING}", readers)).toThrow(/NOTHING/);
  expect(() => resolveSecret("${file:/run/secrets/nothing}", readers)).toThrow(/\/run\/secrets\/nothing/);
  expect(() => resolveSecret("hush", readers)).toThrow(/never the secret itself/);
});
