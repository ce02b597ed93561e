import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { expect, test } from "vitest";
import { exclusively } from "../exclusively.mjs";

test("two who install at once do it one after the other, also after a failure", async () => {
  await using directory = await temporaryDirectory();
  const order: string[] = [];
  const install = (name: string, fails: boolean) =>
    exclusively(
      directory.path,
      () => undefined,
      async () => {
        order.push(name);
        await writeFile(join(directory.path, "file"), name);
        order.push(name);
        if (fails) throw new Error(`${name} failed`);
      },
    );
  const [first, second] = await Promise.allSettled([install("first", true), install("second", true)]);
  expect([first.status, second.status]).toEqual(["rejected", "rejected"]);
  expect(order[0]).toBe(order[1]);
  expect(order[2]).toBe(order[3]);
  await expect(install("third", false)).resolves.toBeUndefined();
});
