import type { World } from "@stillpoint/cli/world";
import { expect, test } from "vitest";
import { soakMillionFiles } from "../src/million-files/million-files.ts";

test("a tree of many files is captured within a fixed memory, and not read again", async () => {
  const lines: string[] = [];
  const world = { out: (line: string) => lines.push(line), signal: AbortSignal.timeout(170_000) } as unknown as World; // what it uses
  expect(await soakMillionFiles(world, ["--files", "3000"])).toEqual([]);
  expect(lines.join("")).toMatch(/third run: .*3010 files, 30(00|10) taken over/);
});
