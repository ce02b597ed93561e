import { access, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fetchOnce } from "@stillpoint/parts/fetch-once";
import { expect, test } from "vitest";
import { temporaryDirectory } from "./directories.ts";
import { runProgram } from "./run-program.ts";

test("processes that fetch at once leave one whole part, fetched once", async () => {
  await using directory = await temporaryDirectory();
  const fetcher = `
    import { appendFile, writeFile } from "node:fs/promises";
    import { setTimeout } from "node:timers/promises";
    import { fetchOnce } from "@stillpoint/parts/fetch-once";
    const directory = process.argv[1];
    await fetchOnce({ directory }, "part-1", async (temporary) => {
      await appendFile(directory + "/fetched", "once\\n");
      await writeFile(temporary + "/first", "half");
      await setTimeout(200);
      await writeFile(temporary + "/second", "whole");
    });`;
  await Promise.all([1, 2, 3].map(() => runProgram(fetcher, [directory.path]).succeeded));
  expect(await readFile(join(directory.path, "fetched"), "utf8")).toBe("once\n");
  expect((await readdir(join(directory.path, "part-1"))).toSorted()).toEqual(["first", "second"]);
});

test("a part is not there until it is whole, and not at all when fetching fails", async () => {
  await using directory = await temporaryDirectory();
  const options = { directory: directory.path };
  const failing = fetchOnce(options, "part-1", async (temporary) => {
    await writeFile(join(temporary, "half"), "");
    await expect(access(join(directory.path, "part-1"))).rejects.toThrow("ENOENT");
    throw new Error("the network went away");
  });
  await expect(failing).rejects.toThrow("the network went away");
  expect(await readdir(directory.path)).toEqual(["part-1.lock"]);
  await fetchOnce(options, "part-1", (temporary) => writeFile(join(temporary, "whole"), ""));
  expect(await readdir(join(directory.path, "part-1"))).toEqual(["whole"]);
});

test("what a killed process left behind is not taken for a part, and does not stop the next", async () => {
  await using directory = await temporaryDirectory();
  const options = { directory: directory.path };
  const killed = runProgram(
    `import { writeFile } from "node:fs/promises";
     import { fetchOnce } from "@stillpoint/parts/fetch-once";
     await fetchOnce({ directory: process.argv[1] }, "part-1", async (temporary) => {
       await writeFile(temporary + "/half", "");
       console.log("half");
       await new Promise(() => setInterval(() => {}, 1000));
     });`,
    [directory.path],
  );
  await killed.line;
  killed.child.kill("SIGKILL");
  await fetchOnce(options, "part-1", (temporary) => writeFile(join(temporary, "whole"), ""));
  expect(await readdir(join(directory.path, "part-1"))).toEqual(["whole"]);
});
