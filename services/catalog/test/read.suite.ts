import { sql } from "kysely";
import { beforeAll, expect, test } from "vitest";
import type { Database } from "../src/database.ts";
import { readBackup, readBackups, readPoint, readPoints, readRun, readRuns } from "../src/read.ts";
import { recordBackup, recordPoint, recordProof } from "../src/record.ts";
import { recordRunFailed, recordRunFinished, recordRunStarted } from "../src/record-run.ts";
import { empty } from "./databases.ts";
import { backupAt, failedAt, finishedAt, idAt, pointAt, proofAt, startedAt } from "./history.ts";

export function readSuite(open: () => Database): void {
  let database: Database;
  beforeAll(async () => {
    database = open();
    await empty(database);
    for (let number = 1; number <= 5; number++) {
      await recordRunStarted(database, startedAt(number));
      for (const source of ["orders", "carts"]) await recordBackup(database, backupAt(number, source));
      await recordPoint(database, pointAt(number));
      await recordRunFinished(database, finishedAt(number));
    }
    await recordProof(database, proofAt(2, "fail"));
    await recordProof(database, proofAt(2, "pass", 1));
    await recordProof(database, proofAt(3, "pass"));
    await recordProof(database, proofAt(3, "inconclusive", 1));
    await recordRunStarted(database, startedAt(6));
    await recordBackup(database, backupAt(6, "orders"));
    await recordRunFailed(database, failedAt(6));
    await recordRunFailed(database, failedAt(7));
    await recordRunStarted(database, startedAt(8));
    await recordBackup(database, backupAt(8, "orders"));
  });

  test("points come newest first, page by page, each once", async () => {
    const ids: string[] = [];
    let before: string | undefined;
    do {
      const page = await readPoints(database, { limit: 2, before });
      ids.push(...page.points.map(({ point }) => point.pointId));
      before = page.next;
    } while (before !== undefined);
    expect(ids).toEqual([5, 4, 3, 2, 1].map((number) => idAt(number, 2)));
  });

  test("a point shows its newest verdict, and is unproven without one", async () => {
    const { points } = await readPoints(database, { limit: 10, plan: "shop" });
    expect(points.map(({ verdict }) => verdict)).toEqual(["unproven", "unproven", "inconclusive", "pass", "unproven"]);
    expect(points[3]).toMatchObject({ rtoMs: 1_234.5 });
    expect((await readPoints(database, { limit: 10, plan: "other" })).points).toEqual([]);
  });

  test("a point comes back as it was sealed, with its backups and all its proofs", async () => {
    expect(await readPoint(database, idAt(3, 2))).toEqual({
      point: pointAt(3),
      proofs: [proofAt(3, "inconclusive", 1), proofAt(3, "pass")],
      backups: [backupAt(3, "carts"), backupAt(3, "orders")],
    });
    await expect(readPoint(database, idAt(99, 2))).rejects.toMatchObject({ code: "POINT_UNKNOWN" });
  });

  test("backups are found by plan and source, and one by its id", async () => {
    const { backups } = await readBackups(database, { limit: 3, plan: "shop", source: "orders" });
    expect(backups.map(({ backupId }) => backupId)).toEqual([8, 6, 5].map((at) => backupAt(at, "orders").backupId));
    const one = backupAt(4, "carts");
    expect(await readBackup(database, one.backupId)).toEqual({ backup: one });
    await expect(readBackup(database, "none")).rejects.toMatchObject({ code: "BACKUP_UNKNOWN" });
  });

  test("runs tell their state, and how a failed one failed", async () => {
    const { runs, notes } = await readRuns(database, { limit: 4 });
    expect(runs.map(({ state }) => state)).toEqual(["running", "failed", "failed", "finished"]);
    expect(runs[2]).toMatchObject({ error: failedAt(6).error, finishedAt: failedAt(6).at });
    expect(notes).toEqual([]);
    await expect(readRun(database, idAt(99, 1))).rejects.toMatchObject({ code: "RUN_UNKNOWN" });
  });

  test("backup_history has its columns, tells what counts from what was only stored, and why a run brought nothing", async () => {
    const { rows } = await sql<Record<string, unknown>>`select * from backup_history order by id desc`.execute(
      database,
    );
    expect(Object.keys(rows[0] ?? {})).toEqual([
      "id",
      "backup_id",
      "backup_type",
      "timestamp",
      "size_bytes",
      "checksum",
      "status",
      "error_message",
      "created_at",
    ]);
    const shown = rows.slice(0, 4).map(({ backup_id, status, error_message }) => [backup_id, status, error_message]);
    const why = "Cannot open the source: connection refused";
    expect(shown).toEqual([
      [backupAt(8, "orders").backupId, "stored", null],
      [idAt(7, 1), "failed", why],
      [backupAt(6, "orders").backupId, "failed", why],
      [backupAt(5, "orders").backupId, "completed", null],
    ]);
  });
}
