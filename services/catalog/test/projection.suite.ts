import { beforeAll, beforeEach, expect, test } from "vitest";
import type { Database } from "../src/database.ts";
import { forgetPoint, recordBackup, recordPoint, recordProof } from "../src/record.ts";
import { recordRunFailed, recordRunFinished, recordRunStarted } from "../src/record-run.ts";
import { dump, empty } from "./databases.ts";
import { backupAt, failedAt, finishedAt, pointAt, proofAt, startedAt } from "./history.ts";

type Step = (database: Database) => Promise<void>;

/** Two whole points, one partial, one run that failed, one that failed and was sealed all the same. */
const HISTORY: Step[] = [
  (to) => recordRunStarted(to, startedAt(1)),
  (to) => recordBackup(to, backupAt(1, "orders")),
  (to) => recordBackup(to, backupAt(1, "carts")),
  (to) => recordPoint(to, pointAt(1)),
  (to) => recordRunFinished(to, finishedAt(1)),
  (to) => recordProof(to, proofAt(1, "fail")),
  (to) => recordProof(to, proofAt(1, "pass", 1)),
  (to) => recordRunStarted(to, startedAt(2)),
  (to) => recordBackup(to, backupAt(2, "orders")),
  (to) => recordRunFailed(to, failedAt(2)),
  (to) => recordRunStarted(to, startedAt(3)),
  (to) => recordBackup(to, backupAt(3, "orders")),
  (to) => recordPoint(to, pointAt(3, ["carts"])),
  (to) => recordRunFinished(to, finishedAt(3, true)),
  (to) => recordRunStarted(to, startedAt(4)),
  (to) => recordRunFailed(to, failedAt(4)),
  (to) => recordRunFinished(to, finishedAt(4)),
  (to) => recordRunFailed(to, failedAt(5)),
];

/** A fixed order that has nothing to do with the first: every seventh, round and round. */
function shuffled<Item>(items: readonly Item[]): Item[] {
  return items.map((_, index) => items[(index * 7 + 3) % items.length] as Item); // the index is inside
}

export function projectionSuite(open: () => Database): void {
  let database: Database;
  let expected: Record<string, string[]>;
  beforeAll(async () => {
    database = open();
    await empty(database);
    for (const step of HISTORY) await step(database);
    expected = await dump(database);
  });
  beforeEach(() => empty(database));

  test("the history has rows in every table", () => {
    for (const [table, rows] of Object.entries(expected)) expect(rows.length, table).toBeGreaterThan(0);
    expect(expected.runs).toHaveLength(5);
  });

  test("a point that was deleted leaves no row of its own, and its backups and proofs as long as the repository has them", async () => {
    for (const step of HISTORY) await step(database);
    await forgetPoint(database, pointAt(1).pointId);
    const left = await dump(database);
    expect(left.points).toHaveLength((expected.points?.length ?? 0) - 1);
    expect(left.point_sources?.join("\n")).not.toContain(pointAt(1).pointId);
    expect(left.backups).toEqual(expected.backups);
    expect(left.proofs).toEqual(expected.proofs);
  });

  test("events that come twice give the same rows", async () => {
    for (const step of HISTORY) {
      await step(database);
      await step(database);
    }
    for (const step of HISTORY) await step(database);
    expect(await dump(database)).toEqual(expected);
  });

  test("events in another order, or backwards, give the same rows", async () => {
    for (const step of shuffled(HISTORY)) await step(database);
    expect(await dump(database)).toEqual(expected);
    await empty(database);
    for (const step of [...HISTORY].reverse()) await step(database);
    expect(await dump(database)).toEqual(expected);
  });
}
