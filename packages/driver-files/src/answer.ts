import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { glob, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { QueryRow, StoreCheckRow } from "@stillpoint/contracts/query";
import { joined } from "./joined.ts";
import { readLines } from "./line-file.ts";
import { parseLocator, valueAt } from "./locator.ts";
import { LIST_PATH, type ListLine, listLine } from "./mark-detail.ts";
import { type NamedFew, namedFew } from "./named-few.ts";
import { comparePaths } from "./path-order.ts";
import { type FoundFile, scan } from "./scan.ts";

const BATCH = 1000;

/** The tree's own checks: every file of the list is there with the hash that it had, and nothing else is. */
export async function* checkTree(directory: string, expected: number | undefined): AsyncGenerator<StoreCheckRow> {
  const [wrong, surplus, unsteady] = [namedFew(), namedFew(), namedFew()];
  let listed = 0;
  let bytes = 0;
  for await (const pairs of joined(await sortedList(directory), filesBelow(directory))) {
    for (const { before: line, now: file } of pairs) {
      if (line === undefined) {
        if (file !== undefined && file.path !== LIST_PATH) surplus.add(file.path);
        continue;
      }
      listed += 1;
      if (!line.steady) unsteady.add(line.path);
      const sha256 = file?.size === line.size ? await hashOf(join(directory, line.path)) : undefined;
      if (sha256 !== line.sha256) wrong.add(line.path);
      bytes += file?.size ?? 0;
    }
  }
  yield row("every file's hash", wrong, `${listed} files, ${bytes} bytes, as captured`, "differ or are missing");
  yield row("no other file", surplus, "none", "were not captured");
  if (expected !== undefined) {
    yield {
      name: "count of files",
      verdict: listed === expected ? "pass" : "fail",
      detail: `${listed}, at the mark ${expected}`,
    };
  }
  if (unsteady.count > 0) {
    const detail = `${unsteady} changed while being read: what is restored may be of two moments`;
    yield { name: "files at one moment", verdict: "inconclusive", detail };
  }
}

/** Distinct values of a field, in the order of UTF-8 bytes. */
export async function* valuesOf(directory: string, of: string): AsyncGenerator<QueryRow> {
  const values = new Set<string>();
  for await (const value of fieldValues(directory, of)) values.add(String(value));
  const sorted = [...values].map((value) => Buffer.from(value)).sort(Buffer.compare);
  for (const value of sorted) yield { value: value.toString() };
}

export async function maxOf(directory: string, of: string): Promise<QueryRow> {
  let max: number | null = null;
  for await (const value of fieldValues(directory, of)) {
    const number = Number(value);
    if (Number.isFinite(number) && (max === null || number > max)) max = number;
  }
  return { max };
}

async function* fieldValues(directory: string, of: string): AsyncGenerator<string | number | boolean> {
  const locator = parseLocator(of);
  for await (const path of glob(locator.glob, { cwd: directory })) {
    const document: unknown = JSON.parse(await readFile(join(directory, path), "utf8"));
    const value = valueAt(document, locator.field);
    if (value !== undefined) yield value;
  }
}

const readList = (directory: string) => readLines(join(directory, LIST_PATH), (value) => listLine.parse(value));

/** The list in the order of a walk. One that is in another, as a bucket's may be, is held and put in order. */
async function sortedList(directory: string): Promise<AsyncIterable<readonly ListLine[]>> {
  let last: string | undefined;
  for await (const lines of readList(directory)) {
    for (const { path } of lines) {
      if (last !== undefined && comparePaths(last, path) >= 0) return sorted(directory);
      last = path;
    }
  }
  return readList(directory);
}

async function* sorted(directory: string): AsyncGenerator<ListLine[]> {
  const all = (await Array.fromAsync(readList(directory))).flat();
  yield all.sort((a, b) => comparePaths(a.path, b.path));
}

/** Regular files of a tree, in the order of a walk. */
async function* filesBelow(directory: string): AsyncGenerator<FoundFile[]> {
  const roots = (await readdir(directory)).map((name) => ({ path: join(directory, name), name }));
  let batch: FoundFile[] = [];
  for (const found of scan(
    roots.sort((a, b) => comparePaths(a.name, b.name)),
    [],
  )) {
    if (found.type === "file") batch.push(found);
    if (batch.length < BATCH) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

function row(name: string, bad: NamedFew, good: string, why: string): StoreCheckRow {
  return bad.count === 0
    ? { name, verdict: "pass", detail: good }
    : { name, verdict: "fail", detail: `${bad.count} ${why}: ${bad}` };
}
