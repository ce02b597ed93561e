import { fileURLToPath } from "node:url";
import { preparePython, RESTORE_PY } from "@stillpoint/testkit/restore-py";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { expect, test } from "vitest";
import { VECTORS } from "../src/places.ts";

const beside = (name: string) => fileURLToPath(new URL(name, import.meta.url));

test("the second implementation finds every vector as the first wrote it", async () => {
  const run = await preparePython();
  expect(await run(beside("vectors.py"), [RESTORE_PY, VECTORS])).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^\d{2,} vectors fit\n$/),
    stderr: "",
  });
}, 300_000);

test("a hostile tree is refused, and nothing outside of the destination changes", async () => {
  const run = await preparePython();
  await using directory = await temporaryDirectory("hostile");
  expect(await run(beside("hostile.py"), [RESTORE_PY, directory.path])).toEqual({
    code: 0,
    stdout: "nothing was written outside\n",
    stderr: "",
  });
}, 300_000);
