import { mkdir, mkdtempDisposable, readdir, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { fetchedAhead } from "../src/fetch-ahead.ts";
import { moveOver } from "../src/move-over.ts";
import type { LogPiece } from "../src/recover.ts";

const range = (i: number) => ({ stream: "s", from: String(i).padStart(4, "0"), to: String(i + 1).padStart(4, "0") });

/** Closed stretches and tails by turns, each of which is fetched when it is let go. */
function slowLog(count: number, bytes: number) {
  const gates = Array.from({ length: count }, () => Promise.withResolvers<void>());
  const begun: number[] = [];
  const fetch = async (i: number) => {
    begun.push(i);
    await gates[i]?.promise;
  };
  const log = gates.map((_, i): LogPiece => {
    const about = { range: range(i), bytes };
    const read = () => fetch(i).then(() => Buffer.from(String(i)));
    if (i % 2 === 1) return { ...about, type: "tail", read };
    const extract = async (directory: string) => {
      await fetch(i);
      await mkdir(join(directory, "log"));
      await writeFile(join(directory, "log", String(i)), String(i));
    };
    return { ...about, type: "closed", extract };
  });
  return { log, begun, gates };
}

test("pieces that come in any order are given in theirs, those behind fetched meanwhile, and nothing of them stays", async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), "ahead-"));
  const { log, begun, gates } = slowLog(9, 1);
  const given: string[] = [];
  const all = (async () => {
    for await (const piece of fetchedAhead(log, directory.path, { pieces: 4, bytes: 1000 })) {
      if (piece.type === "closed") await moveOver(piece.directory, directory.path);
      given.push(piece.range.from);
    }
  })();
  await vi.waitFor(() => expect(begun).toHaveLength(4));
  expect(given).toEqual([]);
  for (const gate of gates.toReversed()) gate.resolve();
  await all;
  expect(given).toEqual(log.map((each) => each.range.from));
  expect(await readdir(directory.path)).toEqual(["log"]);
  expect((await readdir(join(directory.path, "log"))).sort()).toEqual(["0", "2", "4", "6", "8"]);
  expect(await readFile(join(directory.path, "log", "8"), "utf8")).toBe("8");
});

test("no more bytes are under way than the limit says, but for one piece that has more by itself", async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), "ahead-"));
  for (const [bytes, most] of [
    [10, 3],
    [1000, 1],
  ] as const) {
    const { log, begun, gates } = slowLog(6, bytes);
    const given: number[] = [];
    for (const gate of gates) gate.resolve();
    for await (const { range } of fetchedAhead(log, directory.path, { pieces: 16, bytes: 35 })) {
      given.push(Number(range.from));
      expect(begun.length - given.length + 1).toBeLessThanOrEqual(most);
    }
    expect(given).toHaveLength(6);
  }
});

test("a piece that cannot be had fails where its turn is, and nothing that was fetched behind it stays", async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), "ahead-"));
  const { log, gates } = slowLog(6, 1);
  for (const gate of gates) gate.resolve();
  log[3] = { type: "tail", range: range(3), read: () => Promise.reject(new Error("gone")) };
  const given: string[] = [];
  const reading = (async () => {
    for await (const piece of fetchedAhead(log, directory.path)) given.push(piece.range.from);
  })();
  await expect(reading).rejects.toThrow("gone");
  expect(given).toEqual(["0000", "0001", "0002"]);
  expect(await readdir(directory.path)).toEqual([]);
});

test("what stands in the place of a directory is not written through", async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), "over-"));
  const [from, to] = [join(directory.path, "from"), join(directory.path, "to")];
  await mkdir(join(from, "log"), { recursive: true });
  await writeFile(join(from, "log", "1"), "new");
  await mkdir(to);
  await writeFile(join(to, "log"), "a file");
  await expect(moveOver(from, to)).rejects.toMatchObject({ code: "PATH_UNSAFE" });
  expect(await readFile(join(to, "log"), "utf8")).toBe("a file");
});
