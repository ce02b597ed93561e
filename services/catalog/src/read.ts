import { StillpointError } from "@stillpoint/contracts/errors";
import { type BackupFigures, backupFigures, type Point, type Proof, point, proof } from "@stillpoint/contracts/point";
import { type PointSummary, pointSummary, type RunRow, runRow } from "@stillpoint/contracts/queries";
import { sql } from "kysely";
import type { Database } from "./database.ts";

export type Page = { plan?: string | undefined; limit: number; before?: string | undefined };

/** The last id, to be given as the next page's `before`; absent where this page is the last. */
type Next = { next?: string };

export async function readPoints(database: Database, page: Page): Promise<{ points: PointSummary[] } & Next> {
  const rows = await database
    .selectFrom("points")
    .leftJoinLateral(
      (join) =>
        join
          .selectFrom("proofs")
          .select(["proofs.verdict", "proofs.rto_ms"])
          .whereRef("proofs.point_id", "=", "points.point_id")
          .orderBy("proofs.finished_at", "desc")
          .orderBy("proofs.proof_id", "desc")
          .limit(1)
          .as("newest"),
      (join) => join.onTrue(),
    )
    .select(["points.point_id", "points.document", "newest.verdict", "newest.rto_ms"])
    .$if(page.plan !== undefined, (query) => query.where("points.plan", "=", page.plan ?? ""))
    .$if(page.before !== undefined, (query) => query.where("points.point_id", "<", page.before ?? ""))
    .orderBy("points.point_id", "desc")
    .limit(page.limit + 1)
    .execute();
  const shown = rows.slice(0, page.limit);
  return {
    points: shown.map((row) =>
      pointSummary.parse({
        point: row.document,
        verdict: row.verdict ?? "unproven",
        ...(row.rto_ms === null ? {} : { rtoMs: row.rto_ms }),
      }),
    ),
    ...nextOf(rows.length > page.limit, shown.at(-1)?.point_id),
  };
}

export async function readPoint(
  database: Database,
  pointId: string,
): Promise<{ point: Point; proofs: Proof[]; backups: BackupFigures[] }> {
  const found = await database
    .selectFrom("points")
    .select("document")
    .where("point_id", "=", pointId)
    .executeTakeFirst();
  if (found === undefined)
    throw new StillpointError("POINT_UNKNOWN", { what: "There is no such point", where: pointId });
  const proofs = await database
    .selectFrom("proofs")
    .select("document")
    .where("point_id", "=", pointId)
    .orderBy("finished_at", "desc")
    .orderBy("proof_id", "desc")
    .execute();
  const backups = await database
    .selectFrom("backups")
    .innerJoin("point_backups", "point_backups.backup_id", "backups.backup_id")
    .select("backups.document")
    .where("point_backups.point_id", "=", pointId)
    .orderBy("point_backups.source")
    .orderBy("point_backups.ordinal")
    .execute();
  return {
    point: point.parse(found.document),
    proofs: proofs.map(({ document }) => proof.parse(document)),
    backups: backups.map(({ document }) => backupFigures.parse(document)),
  };
}

export async function readBackups(
  database: Database,
  page: Page & { source?: string | undefined },
): Promise<{ backups: BackupFigures[] } & Next> {
  const rows = await database
    .selectFrom("backups")
    .select(["backup_id", "document"])
    .$if(page.plan !== undefined, (query) => query.where("plan", "=", page.plan ?? ""))
    .$if(page.source !== undefined, (query) => query.where("source", "=", page.source ?? ""))
    .$if(page.before !== undefined, (query) => query.where("backup_id", "<", page.before ?? ""))
    .orderBy("backup_id", "desc")
    .limit(page.limit + 1)
    .execute();
  const shown = rows.slice(0, page.limit);
  return {
    backups: shown.map(({ document }) => backupFigures.parse(document)),
    ...nextOf(rows.length > page.limit, shown.at(-1)?.backup_id),
  };
}

export async function readBackup(database: Database, backupId: string): Promise<{ backup: BackupFigures }> {
  const found = await database
    .selectFrom("backups")
    .select("document")
    .where("backup_id", "=", backupId)
    .executeTakeFirst();
  if (found !== undefined) return { backup: backupFigures.parse(found.document) };
  throw new StillpointError("BACKUP_UNKNOWN", { what: "There is no such backup", where: backupId });
}

const RUN_COLUMNS = ["run_id", "plan", "point_id", "state", "partial", "error", "started_at", "finished_at"] as const;

export async function readRuns(database: Database, page: Page): Promise<{ runs: RunRow[]; notes: string[] } & Next> {
  const rows = await database
    .selectFrom("runs")
    .select(RUN_COLUMNS)
    .$if(page.plan !== undefined, (query) => query.where("plan", "=", page.plan ?? ""))
    .$if(page.before !== undefined, (query) => query.where("run_id", "<", page.before ?? ""))
    .orderBy("run_id", "desc")
    .limit(page.limit + 1)
    .execute();
  const shown = rows.slice(0, page.limit);
  return {
    runs: shown.map(toRunRow),
    notes: await notesOnRuns(database, page.plan),
    ...nextOf(rows.length > page.limit, shown.at(-1)?.run_id),
  };
}

export async function readRun(database: Database, runId: string): Promise<{ run: RunRow }> {
  const found = await database.selectFrom("runs").select(RUN_COLUMNS).where("run_id", "=", runId).executeTakeFirst();
  if (found !== undefined) return { run: toRunRow(found) };
  const [why] = await notesOnRuns(database, undefined);
  throw new StillpointError("RUN_UNKNOWN", { what: "There is no such run", where: runId, why });
}

/** Runs are in no repository: where there are points of runs that are not known, an earlier catalog's history is gone. */
export async function notesOnRuns(database: Database, plan: string | undefined): Promise<string[]> {
  const { gone } = await database
    .selectFrom("points")
    .leftJoin("runs", "runs.run_id", "points.run_id")
    .select((row) => row.fn.countAll().as("gone"))
    .where("runs.run_id", "is", null)
    .$if(plan !== undefined, (query) => query.where("points.plan", "=", plan ?? ""))
    .executeTakeFirstOrThrow();
  const count = Number(gone);
  if (count === 0) return [];
  return [
    `The history of runs is gone up to ${count === 1 ? "a point that is" : `${count} points that are`} known from the ` +
      "repository alone: it holds points, backups and proofs, not the runs.",
  ];
}

type RunColumns = {
  run_id: string;
  plan: string;
  point_id: string;
  state: string;
  partial: boolean;
  error: unknown;
  started_at: Date | null;
  finished_at: Date | null;
};

function toRunRow(row: RunColumns): RunRow {
  // The event that tells the start may still be on its way.
  const started = row.started_at ?? row.finished_at;
  return runRow.parse({
    runId: row.run_id,
    plan: row.plan,
    pointId: row.point_id,
    state: row.state,
    partial: row.partial,
    startedAt: started?.toISOString(),
    ...(row.error === null ? {} : { error: row.error }),
    ...(row.finished_at === null ? {} : { finishedAt: row.finished_at.toISOString() }),
  });
}

function nextOf(isMore: boolean, last: string | undefined): Next {
  return isMore && last !== undefined ? { next: last } : {};
}

/** Answers whether the database itself answers. */
export async function ping(database: Database): Promise<void> {
  await sql`select 1`.execute(database);
}
