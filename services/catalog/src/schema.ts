import type { ErrorBody } from "@stillpoint/contracts/errors";
import type { BackupFigures, Point, Proof } from "@stillpoint/contracts/point";
import type { ColumnType } from "kysely";

/** Drivers differ in how they give a bigint back. */
type Integer = ColumnType<number | string, number, number>;
type Instant = ColumnType<Date, string, string>;
type OptionalInstant = ColumnType<Date | null, string | null | undefined, string | null>;
type Json<Value> = ColumnType<Value, string, string>;
/**
 * Stamped on each row when it is written. A rebuild begins a new generation, stamps what the repository holds, and
 * removes what is left of older ones; what events bring meanwhile has the new one already.
 */
type Generation = ColumnType<number, number, number>;

export type Schema = {
  points: {
    point_id: string;
    run_id: string;
    plan: string;
    revision: string;
    partial: boolean;
    consistency: string;
    mode: string;
    cut_at: Instant;
    window_ms: number;
    skew_ms: number;
    fenced_ms: number | null;
    bytes: Integer;
    stored_bytes: Integer;
    started_at: Instant;
    sealed_at: Instant;
    document: Json<Point>;
    generation: Generation;
  };
  point_sources: {
    point_id: string;
    source: string;
    kind: string;
    site: string;
    position: string;
    bytes: Integer;
    stored_bytes: Integer;
    ms: number;
  };
  /** The backups that a point's source is restored from, in order. */
  point_backups: { point_id: string; source: string; ordinal: number; backup_id: string };
  point_skipped: { point_id: string; source: string; reason: string };
  backups: {
    backup_id: string;
    plan: string;
    source: string;
    kind: string;
    type: string;
    run_id: string;
    bytes: Integer;
    stored_bytes: Integer;
    files: Integer;
    checksum: string;
    started_at: Instant;
    finished_at: Instant;
    document: Json<BackupFigures>;
    generation: Generation;
  };
  proofs: {
    proof_id: string;
    point_id: string;
    plan: string;
    verdict: string;
    rto_ms: number;
    ms: number;
    started_at: Instant;
    finished_at: Instant;
    document: Json<Proof>;
    generation: Generation;
  };
  proof_checks: { proof_id: string; ordinal: number; name: string; verdict: string; detail: string };
  runs: {
    run_id: string;
    plan: string;
    point_id: string;
    state: "running" | "finished" | "failed";
    partial: boolean;
    error: Json<ErrorBody | null> | null;
    started_at: OptionalInstant;
    finished_at: OptionalInstant;
  };
  /** One row. */
  projection: {
    generation: number;
    /** False: made anew, and what the repository holds is not in it yet. */
    is_complete: boolean;
  };
};
