import type { BackupFigures, Point, Proof } from "@stillpoint/contracts/point";
import { sql } from "kysely";
import type { Database } from "./database.ts";

/** What the repository holds does not change, so to record it again is to write the same rows. */
const GENERATION = sql<number>`(select generation from projection)`;
const NEWER = (table: "points" | "backups" | "proofs") =>
  sql<number>`greatest(${sql.ref(`${table}.generation`)}, excluded.generation)`;

export async function recordPoint(database: Database, point: Point): Promise<void> {
  const { cut, pointId } = point;
  const row = {
    run_id: point.runId,
    plan: point.plan,
    revision: point.revision,
    partial: point.partial,
    consistency: cut.consistency,
    mode: cut.mode,
    cut_at: cut.at,
    window_ms: cut.windowMs,
    skew_ms: cut.skewMs,
    fenced_ms: cut.fencedMs ?? null,
    bytes: sum(point.sources.map(({ bytes }) => bytes)),
    stored_bytes: sum(point.sources.map(({ storedBytes }) => storedBytes)),
    started_at: point.startedAt,
    sealed_at: point.sealedAt,
    document: JSON.stringify(point),
  };
  const sources = point.sources.map(({ source, kind, site, mark, bytes, storedBytes, ms }) => ({
    point_id: pointId,
    source,
    kind,
    site,
    position: mark.position,
    bytes,
    stored_bytes: storedBytes,
    ms,
  }));
  const backups = point.sources.flatMap(({ source, backups }) =>
    backups.map((backup, ordinal) => ({ point_id: pointId, source, ordinal, backup_id: backup })),
  );
  const skipped = point.skipped.map(({ source, reason }) => ({ point_id: pointId, source, reason }));
  await database.transaction().execute(async (transaction) => {
    await transaction
      .insertInto("points")
      .values({ point_id: pointId, ...row, generation: GENERATION })
      .onConflict((conflict) => conflict.column("point_id").doUpdateSet({ ...row, generation: NEWER("points") }))
      .execute();
    await transaction.deleteFrom("point_sources").where("point_id", "=", pointId).execute();
    await transaction.deleteFrom("point_backups").where("point_id", "=", pointId).execute();
    await transaction.deleteFrom("point_skipped").where("point_id", "=", pointId).execute();
    if (sources.length > 0) await transaction.insertInto("point_sources").values(sources).execute();
    if (backups.length > 0) await transaction.insertInto("point_backups").values(backups).execute();
    if (skipped.length > 0) await transaction.insertInto("point_skipped").values(skipped).execute();
  });
}

/** Its proofs and backups stay as long as the repository has them. */
export async function forgetPoint(database: Database, pointId: string): Promise<void> {
  await database.deleteFrom("points").where("point_id", "=", pointId).execute();
}

export async function recordBackup(database: Database, figures: BackupFigures): Promise<void> {
  const row = {
    plan: figures.plan,
    source: figures.source,
    kind: figures.kind,
    type: figures.type,
    run_id: figures.runId,
    bytes: figures.bytes,
    stored_bytes: figures.storedBytes,
    files: figures.files,
    checksum: figures.checksum,
    started_at: figures.startedAt,
    finished_at: figures.finishedAt,
    document: JSON.stringify(figures),
  };
  await database
    .insertInto("backups")
    .values({ backup_id: figures.backupId, ...row, generation: GENERATION })
    .onConflict((conflict) => conflict.column("backup_id").doUpdateSet({ ...row, generation: NEWER("backups") }))
    .execute();
}

export async function recordProof(database: Database, proof: Proof): Promise<void> {
  const { proofId } = proof;
  const row = {
    point_id: proof.pointId,
    plan: proof.plan,
    verdict: proof.verdict,
    rto_ms: proof.rtoMs,
    ms: proof.ms,
    started_at: proof.startedAt,
    finished_at: proof.finishedAt,
    document: JSON.stringify(proof),
  };
  const checks = proof.checks.map(({ name, verdict, detail }, ordinal) => ({
    proof_id: proofId,
    ordinal,
    name,
    verdict,
    detail,
  }));
  await database.transaction().execute(async (transaction) => {
    await transaction
      .insertInto("proofs")
      .values({ proof_id: proofId, ...row, generation: GENERATION })
      .onConflict((conflict) => conflict.column("proof_id").doUpdateSet({ ...row, generation: NEWER("proofs") }))
      .execute();
    await transaction.deleteFrom("proof_checks").where("proof_id", "=", proofId).execute();
    if (checks.length > 0) await transaction.insertInto("proof_checks").values(checks).execute();
  });
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
