import { appendFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { judge } from "../src/bounds.ts";
import { type JournalEntry, openJournal, readJournal, unfinished } from "../src/journal.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "sample-journal-"));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

const at = "2026-01-01T00:00:00.000Z";
const issued = (seq: number, more: { replaces?: number; removes?: { id: string; seq: number } } = {}) =>
  ({ event: "issued", write: { seq, id: `id-${seq}`, relatesTo: [], ...more }, at }) satisfies JournalEntry;
const acknowledged = (seq: number): JournalEntry => ({ event: "acknowledged", seq });
const confirmed: JournalEntry = { event: "confirmed", fenceId: "f", sequence: 3, at };

test("a line that a kill cut short is no entry, and those before it are", () => {
  const path = join(directory, "journal.ndjson");
  const journal = openJournal(path);
  journal.append(issued(1));
  journal.append(acknowledged(1));
  journal.append(issued(2));
  journal.close();
  appendFileSync(path, '{"event":"acknow');
  const left = unfinished(readJournal(path));
  expect(left.issued.map(({ write }) => write.seq)).toEqual([2]);
  expect(left.sequence).toBe(2);
});

test("a journal that goes on after a cut line loses nothing of what follows", () => {
  const path = join(directory, "journal.ndjson");
  const first = openJournal(path);
  first.append(issued(1));
  first.close();
  appendFileSync(path, '{"event":"acknow');
  const second = openJournal(path);
  second.append(issued(2));
  second.close();
  expect(unfinished(readJournal(path)).issued.map(({ write }) => write.seq)).toEqual([1, 2]);
});

test("a journal at its limit begins anew and still holds the writes under way", () => {
  const path = join(directory, "journal.ndjson");
  const journal = openJournal(path, 2_000);
  for (let seq = 1; seq <= 100; seq++) {
    journal.append(issued(seq));
    if (seq !== 7) journal.append(acknowledged(seq));
  }
  journal.close();
  const entries = readJournal(path);
  expect(entries.length).toBeLessThan(30);
  expect(unfinished(entries).issued.map(({ write }) => write.seq)).toEqual([7]);
});

test("each way to break a cut is told apart, and a true cut shows none", () => {
  const entries: JournalEntry[] = [
    issued(11),
    acknowledged(11),
    issued(12, { replaces: 5 }),
    acknowledged(12),
    issued(13, { removes: { id: "id-6", seq: 6 } }),
    acknowledged(13),
    confirmed,
    issued(14, { removes: { id: "id-11", seq: 11 } }),
    acknowledged(14),
  ];
  expect(judge(entries, "f", new Set([1, 11, 12, 13]))).toEqual({ missing: [], returned: [], late: [] });
  expect(judge(entries, "f", new Set([1, 12, 13]))).toEqual({ missing: [11], returned: [], late: [] });
  expect(judge(entries, "f", new Set([6, 11, 12, 13]))).toEqual({ missing: [], returned: [6], late: [] });
  expect(judge(entries, "f", new Set([11, 12, 13, 14]))).toEqual({ missing: [], returned: [], late: [14] });
});

test("a fence that was never confirmed cannot be judged", () => {
  expect(() => judge([issued(1)], "f", new Set())).toThrow("no confirmed fence f");
});
