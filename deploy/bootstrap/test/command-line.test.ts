import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { NODE_FLAGS } from "@stillpoint/repository/node-flags";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { expect, test } from "vitest";
import { commandLine } from "../command-line.mjs";

test("a command runs its entry point with the person's arguments, where that person is", async () => {
  await using checkout = await temporaryDirectory();
  await place(checkout.path, "packages/cli/src/main.ts");
  expect(
    commandLine(checkout.path, ["stillpoint", "restore", "--to", "./here"], { INIT_CWD: "/home/me" }, "/"),
  ).toEqual({
    flags: NODE_FLAGS,
    entry: join(checkout.path, "packages/cli/src/main.ts"),
    args: ["restore", "--to", "./here"],
    cwd: "/home/me",
  });
  await place(checkout.path, "deploy/demo/src/main.ts");
  const start = commandLine(checkout.path, ["start", "--isolate"], {}, "/srv");
  expect(start).toMatchObject({ flags: [], entry: join(checkout.path, "deploy/demo/src/main.ts"), cwd: "/srv" });
  expect(start?.args.at(-1)).toBe("--isolate");
});

test("no command, or an unknown one, is not guessed", () => {
  expect(commandLine("/checkout", [], {}, "/")).toBeUndefined();
  expect(commandLine("/checkout", ["toString"], {}, "/")).toBeUndefined();
});

test("a command that this checkout lacks is refused by the name of what is missing", () => {
  expect(() => commandLine("/nowhere", ["soak", "kill"], {}, "/")).toThrow(
    "soak is not part of this checkout: deploy/soak/src/main.ts is missing",
  );
});

async function place(checkout: string, file: string): Promise<void> {
  await mkdir(dirname(join(checkout, file)), { recursive: true });
  await writeFile(join(checkout, file), "");
}
