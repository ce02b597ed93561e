import { execFile } from "node:child_process";
import { access, glob } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const checkout = fileURLToPath(new URL("../../..", import.meta.url));
const run = promisify(execFile);
const services = (await Array.fromAsync(glob("services/*", { cwd: checkout }))).toSorted();

// vitest accepts code that Node refuses (decorators, enums, imports of types), so each is loaded by Node itself.
test.each(services)("%s starts under node", async (service) => {
  const main = join(checkout, service, "src/main.ts");
  await access(main);
  const { stdout } = await run(process.execPath, [main, "--check"]);
  expect(stdout).toContain("ok");
});

test("there are services to start", () => {
  expect(services.length).toBeGreaterThan(0);
});

test("the command line starts under node", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ["packages/cli/src/main.ts", "--help"], {
    cwd: checkout,
  });
  expect(stdout).toContain("stillpoint");
});
