import { z } from "zod";
import { logPosition, logRange, logTarget } from "./log.ts";
import {
  backupId,
  backupType,
  consistencyClass,
  instant,
  name,
  sha256,
  sourceKind,
  token,
  uuid,
  verdict,
} from "./names.ts";

/** What a server must have to run a backup's data; sealed with every mark, so that a rehearsal goes where it fits. */
export const runtime = z.object({
  /** One token that agents are matched by, such as `pg15-glibc`. */
  id: token,
  version: z.string(),
  arch: z.string(),
  libc: z.string().optional(),
  icu: z.string().optional(),
  extensions: z.array(z.string()).default([]),
  /** Settings without which the data does not open, such as `block_size`. */
  settings: z.record(z.string(), z.string()).default({}),
});
export type Runtime = z.infer<typeof runtime>;

/** A source's own position at the cut. */
export const mark = z.object({
  cutId: uuid,
  /** The position in the store's own words, for people. */
  position: z.string(),
  /** The driver's own figures; only the driver of the kind reads them, with a schema of its own. */
  detail: z.record(z.string(), z.unknown()),
  /**
   * Of a source whose log is shipped: the backups lack the log, and what the repository holds of it up to `place` is laid over the
   * first of them. The store's own recovery then goes to `target`.
   */
  log: z
    .object({ place: logPosition, target: logTarget, /** By the clock of who marked it. */ at: instant })
    .optional(),
  /** Why this source is not at one moment. Absent: it is. */
  fuzzy: z.string().optional(),
  /** What a restore must show to be equal: exact counts by table, label, collection. */
  counts: z.record(z.string(), z.number().int().nonnegative()).optional(),
  /** What people should know: unlogged tables that come back empty, files left out. */
  notes: z.array(z.string()).default([]),
});
export type Mark = z.infer<typeof mark>;

/** A backup as its manifest in the repository sums it up. */
export const backupFigures = z.object({
  backupId,
  plan: name,
  source: name,
  kind: sourceKind,
  type: backupType,
  runId: uuid,
  /** Bytes of the files in it. */
  bytes: z.number().int().nonnegative(),
  /** Bytes that it added to the repository: new chunks after compression and sealing. */
  storedBytes: z.number().int().nonnegative(),
  /** The same before compression; backups of earlier releases do not say it. */
  newBytes: z.number().int().nonnegative().optional(),
  files: z.number().int().nonnegative(),
  /** SHA-256 over the tar's entries in order, as the repository format defines it. */
  checksum: sha256,
  /** Which stretch of its source's log it holds, or, of a full, where its replay begins and from where on it is whole. */
  log: logRange.optional(),
  startedAt: instant,
  finishedAt: instant,
});
export type BackupFigures = z.infer<typeof backupFigures>;

export const cutEvidence = z.object({
  cutId: uuid,
  mode: z.enum(["fence", "align"]),
  /** Wall clock of the owner when the last mark was in; for people. */
  at: instant,
  consistency: consistencyClass,
  /** Why the class is `fuzzy`. */
  reasons: z.array(z.string()).default([]),
  /** First request to last reply, on the owner's monotonic clock. */
  windowMs: z.number().nonnegative(),
  /** First mark to last mark, by the arrival of the replies. */
  skewMs: z.number().nonnegative(),
  /** From the hook's confirmation to the release; absent without a fence. */
  fencedMs: z.number().nonnegative().optional(),
  heldThroughout: z.boolean().optional(),
  /** The application's own highest sequence number at the cut, where its hook says so. */
  sequence: z.number().int().nonnegative().optional(),
  /** When each source's mark was in, after the first request. */
  offsetsMs: z.record(name, z.number().nonnegative()),
});
export type CutEvidence = z.infer<typeof cutEvidence>;

export const pointSource = z.object({
  source: name,
  kind: sourceKind,
  site: name,
  /** The full first, then what is laid over it, in order. */
  backups: z.array(backupId).min(1),
  mark,
  runtime,
  /** Where the source answered at capture; a rehearsal must not reach it. */
  addresses: z.array(z.string()).default([]),
  bytes: z.number().int().nonnegative(),
  storedBytes: z.number().int().nonnegative(),
  /** What the store held when it was opened, by its own word; absent where the full of each point says it. */
  sizeBytes: z.number().int().nonnegative().optional(),
  ms: z.number().nonnegative(),
});
export type PointSource = z.infer<typeof pointSource>;

export const skippedSource = z.object({ source: name, reason: z.string() });

/** A recovery point's manifest, sealed once. */
export const point = z.object({
  pointId: uuid,
  runId: uuid,
  plan: name,
  /** SHA-256 of the plan's canonical revision. */
  revision: sha256,
  /** The schedule entries it stands for. */
  entries: z.array(z.string()),
  cut: cutEvidence,
  sources: z.array(pointSource),
  skipped: z.array(skippedSource).default([]),
  /** Sources are missing; the plan allows it. Never counted as whole. */
  partial: z.boolean(),
  startedAt: instant,
  sealedAt: instant,
});
export type Point = z.infer<typeof point>;

export const check = z.object({
  name: z.string(),
  verdict,
  detail: z.string(),
  /** Which sources it concerns. */
  sources: z.array(name).default([]),
});
export type Check = z.infer<typeof check>;

/** What a rehearsal showed; a new object beside the point. */
export const proof = z.object({
  proofId: uuid,
  pointId: uuid,
  plan: name,
  verdict,
  reasons: z.array(z.string()).default([]),
  checks: z.array(check),
  /** From the first rehearsal's start until the last restored server answered. */
  rtoMs: z.number().nonnegative(),
  ms: z.number().nonnegative(),
  startedAt: instant,
  finishedAt: instant,
});
export type Proof = z.infer<typeof proof>;
