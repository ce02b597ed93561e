import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { glob, lstat, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pipeline } from "node:stream/promises";
import type { QueryRow, StoreCheckRow } from "@stillpoint/contracts/query";
import { parseLocator, valueAt } from "./locator.ts";
import { LIST_PATH, type ListLine, listLine } from "./mark-detail.ts";

const MOST_NAMED = 5;

/** The tree's own checks: every file of the list is there with the hash that it had, and nothing else is. */
export async function* checkTree(directory: string, expected: number | undefined): AsyncGenerator<StoreCheckRow> {
  const listed = new Set<string>();
  const wrong: string[] = [];
  const unsteady: string[] = [];
  let bytes = 0;
  for await (const line of readList(directory)) {
    listed.add(line.path);
    if (!line.steady) unsteady.push(line.path);
    const found = await hashOf(join(directory, line.path));
    if (found?.sha256 !== line.sha256 || found.size !== line.size) wrong.push(line.path);
    bytes += found?.size ?? 0;
  }
  const present = await filesBelow(directory);
  const surplus = present.filter((path) => !listed.has(path) && path !== LIST_PATH);
  yield row("every file's hash", wrong, `${listed.size} files, ${bytes} bytes, as captured`, "differ or are missing");
  yield row("no other file", surplus, "none", "were not captured");
  if (expected !== undefined) {
    yield {
      name: "count of files",
      verdict: listed.size === expected ? "pass" : "fail",
      detail: `${listed.size}, at the mark ${expected}`,
    };
  }
  if (unsteady.length > 0) {
    const detail = `${named(unsteady)} changed while being read: what is restored may be of two moments`;
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

async function* readList(directory: string): AsyncGenerator<ListLine> {
  const input = createReadStream(join(directory, LIST_PATH));
  for await (const line of createInterface({ input })) yield listLine.parse(JSON.parse(line));
}

async function hashOf(path: string): Promise<{ sha256: string; size: number } | undefined> {
  const stats = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
    throw error;
  });
  if (!stats?.isFile()) return undefined;
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return { sha256: hash.digest("hex"), size: stats.size };
}

async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1));
}

function row(name: string, bad: readonly string[], good: string, why: string): StoreCheckRow {
  return bad.length === 0
    ? { name, verdict: "pass", detail: good }
    : { name, verdict: "fail", detail: `${bad.length} ${why}: ${named(bad)}` };
}

function named(paths: readonly string[]): string {
  return paths.slice(0, MOST_NAMED).join(", ") + (paths.length > MOST_NAMED ? ", …" : "");
}
