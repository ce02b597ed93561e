import { appendFile, mkdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { directoryTree } from "@stillpoint/driver/directory-tree";
import { type TemporaryDirectory, temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { copyLog } from "../src/copy-log.ts";
import { followLog } from "../src/log-follower.ts";
import { logHeader, transactions } from "./log-bytes.ts";

const signal = new AbortController().signal;
let directory: TemporaryDirectory;
let logs: string;
beforeEach(async () => {
  directory = await temporaryDirectory("neo4j-log");
  logs = join(directory.path, "source");
  await mkdir(logs);
});
afterEach(async () => await directory[Symbol.asyncDispose]());

const path = (version: number) => join(logs, `neostore.transaction.db.${version}`);
const first = transactions(11, 20);
const second = transactions(21, 30, first.last);
const third = transactions(31, 35, second.last);

async function threeFiles(): Promise<void> {
  await writeFile(path(3), Buffer.concat([logHeader(3, 10), first]));
  await writeFile(path(4), Buffer.concat([logHeader(4, 20), second]));
  await writeFile(path(5), Buffer.concat([logHeader(5, 30), third]));
}

describe("following a log", () => {
  test("goes on from file to file, and stands at the end of the last commit", async () => {
    await threeFiles();
    const log = await followLog(logs, 3, signal);
    expect(await log.advance()).toEqual({ logVersion: 5, offset: 128 + third.length, txId: 35 });
  });

  test("stops at the transaction that is asked for, though more is there", async () => {
    await threeFiles();
    const log = await followLog(logs, 3, signal);
    expect(await log.advance(20)).toEqual({ logVersion: 3, offset: 128 + first.length, txId: 20 });
    expect((await log.advance(24)).txId).toBe(24);
    expect((await log.advance()).txId).toBe(35);
  });

  test("a transaction that is half written is taken when it is whole, also where zeros stood", async () => {
    await writeFile(path(3), Buffer.concat([logHeader(3, 10), first.subarray(0, -30)]));
    const log = await followLog(logs, 3, signal);
    expect((await log.advance()).txId).toBe(19);
    await appendFile(path(3), first.subarray(-30));
    expect((await log.advance()).txId).toBe(20);
    const ahead = Buffer.concat([logHeader(3, 10), first, Buffer.alloc(100_000)]);
    await writeFile(path(3), ahead);
    expect((await log.advance()).txId).toBe(20);
    second.copy(ahead, 128 + first.length);
    await writeFile(path(3), ahead);
    expect(await log.advance()).toEqual({ logVersion: 3, offset: 128 + first.length + second.length, txId: 30 });
  });

  test("a next file that is only begun is waited for", async () => {
    await writeFile(path(3), Buffer.concat([logHeader(3, 10), first]));
    const log = await followLog(logs, 3, signal);
    await writeFile(path(4), logHeader(4, 20).subarray(0, 60));
    expect((await log.advance()).txId).toBe(20);
    await writeFile(path(4), logHeader(4, 20));
    expect(await log.advance()).toEqual({ logVersion: 3, offset: 128 + first.length, txId: 20 });
    await appendFile(path(4), second);
    expect((await log.advance()).logVersion).toBe(4);
  });

  test.each<[what: string, damage: () => Promise<void>]>([
    ["the middle file is missing", () => rm(path(4))],
    ["the file that was read is gone", () => rm(path(3))],
    ["the file that was read became shorter", () => truncate(path(3), 200)],
    ["a finished file ends before the next begins", () => truncate(path(4), 600)],
    ["the next file is of another store", () => writeFile(path(5), logHeader(5, 30, Buffer.alloc(64, 1)))],
  ])("%s: it is refused, or nothing behind it is taken", async (_, damage) => {
    await writeFile(path(3), Buffer.concat([logHeader(3, 10), first]));
    const log = await followLog(logs, 3, signal);
    await log.advance();
    await threeFiles();
    await damage();
    const last = await log.advance().then(
      ({ txId }) => txId,
      (error: unknown) => error,
    );
    if (typeof last === "number") expect(last).toBe(20);
    else expect(last).toMatchObject({ code: "SOURCE_CHANGED" });
  });

  test("a first file that is missing is refused with the setting that keeps it", async () => {
    await expect(followLog(logs, 7, signal)).rejects.toMatchObject({
      code: "SOURCE_CHANGED",
      hint: expect.stringContaining("retention_policy"),
    });
  });
});

describe("copying a log", () => {
  const to = { logVersion: 5, offset: 128 + transactions(31, 33, second.last).length, txId: 33 };
  const copied = async (version: number) =>
    await readFile(join(directory.path, "tree", `logs/neostore.transaction.db.${version}`));
  const copy = async (from: { logVersion: number; offset: number; txId?: number }, end: typeof to) => {
    await mkdir(join(directory.path, "tree"), { recursive: true });
    const tree = directoryTree(join(directory.path, "tree"));
    await copyLog(tree, { directory: logs, treeDirectory: "logs", from, to: end });
  };

  test("in two parts gives the files up to the mark, and not a byte more", async () => {
    await threeFiles();
    const middle = { logVersion: 4, offset: 128 + transactions(21, 24, first.last).length, txId: 24 };
    await copy({ logVersion: 3, offset: 0 }, middle);
    expect((await copied(4)).length).toBe(middle.offset);
    await copy(middle, to);
    expect(await copied(3)).toEqual(await readFile(path(3)));
    expect(await copied(4)).toEqual(await readFile(path(4)));
    expect(await copied(5)).toEqual((await readFile(path(5))).subarray(0, to.offset));
  });

  test.each<[what: string, damage: () => Promise<void>]>([
    ["a byte was flipped since", async () => await flip(path(4), 300)],
    ["a file is gone", () => rm(path(4))],
    ["a file became shorter", () => truncate(path(4), 400)],
    ["the last file became shorter", () => truncate(path(5), 200)],
    ["a file is another one", () => writeFile(path(4), Buffer.concat([logHeader(4, 19), second]))],
  ])("%s: the backup fails, for the chain to the mark is broken", async (_, damage) => {
    await threeFiles();
    await damage();
    await expect(copy({ logVersion: 3, offset: 0 }, to)).rejects.toMatchObject({ code: "SOURCE_CHANGED" });
  });
});

async function flip(file: string, at: number): Promise<void> {
  const bytes = await readFile(file);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  await writeFile(file, bytes);
}
