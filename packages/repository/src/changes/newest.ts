import type { z } from "zod";
import type { change } from "../format/documents.ts";

export type Change = z.infer<typeof change>;
/** `storedMs`: when it was stored, by the storage's clock. Durations are counted from it; `at` is for people. */
export type StoredChange = Change & { storedMs: number };

/** Changes that answer the same question of an object: the newest of them counts, whatever else was changed of it. */
const QUESTIONS = {
  delete: "existence",
  undelete: "existence",
  release: "release",
  "retire-slot": "slot",
  promote: "primary",
  tag: "tag",
  keep: "keep",
  checked: "checked",
} as const satisfies Record<Change["change"], string>;
export type Question = (typeof QUESTIONS)[Change["change"]];

/** Whether `a` counts instead of `b`: highest sequence, then highest id, so that every reader finds the same one. */
export function isNewer(a: Pick<Change, "sequence" | "changeId">, b: Pick<Change, "sequence" | "changeId">): boolean {
  return a.sequence === b.sequence ? a.changeId > b.changeId : a.sequence > b.sequence;
}

export type NewestChanges = {
  of(question: Question, object: string): StoredChange | undefined;
  all(): Iterable<StoredChange>;
};

/** Pure. The order in which changes come in makes no difference. */
export function newestChanges(changes: Iterable<StoredChange>): NewestChanges {
  const newest = new Map<string, StoredChange>();
  for (const each of changes) {
    const key = `${QUESTIONS[each.change]} ${each.object}`;
    const before = newest.get(key);
    if (before === undefined || isNewer(each, before)) newest.set(key, each);
  }
  return { of: (question, object) => newest.get(`${question} ${object}`), all: () => newest.values() };
}
