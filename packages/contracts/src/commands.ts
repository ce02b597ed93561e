import { z } from "zod";
import { maintenanceTask } from "./maintenance.ts";
import { defineCommand } from "./messages.ts";
import { backupId, instant, name, sha256, sourceKind, uuid } from "./names.ts";
import { mark, runtime } from "./point.ts";
import { query } from "./query.ts";
import { sourceSpec } from "./source.ts";

/** One backup run of a plan. */
export const runBackup = defineCommand(
  "cmd.run.{plan}",
  z.object({
    runId: uuid,
    plan: name,
    /** Revision to run; the run refuses to start when it is not known. */
    revision: sha256,
    /** Schedule entries that it stands for; empty for a run that a person asked for. */
    entries: z.array(z.string()).default([]),
    dueAt: instant.optional(),
    /** `notification`: a bucket told of a change. */
    requestedBy: z.enum(["schedule", "person", "notification"]),
    /** How often this command was published; part of the message id. */
    publication: z.number().int().positive().default(1),
  }),
);

/** Own the source for a run, from open to close. */
export const captureSource = defineCommand(
  "cmd.capture.{kind}.{site}.{plan}.{source}",
  z.object({
    runId: uuid,
    plan: name,
    revision: sha256,
    source: name,
    spec: sourceSpec,
    mode: z.enum(["fence", "align"]),
    /** A base that stands already is rested on only if it was stored since; absent: however old it is. */
    baseSince: instant.optional(),
    publication: z.number().int().positive().default(1),
  }),
);

/**
 * Own the source's log, until it is told to stop. Who takes it looks at the plan itself: it may have changed since this was
 * published.
 */
export const shipSource = defineCommand(
  "cmd.ship.{kind}.{site}.{plan}.{source}",
  z.object({
    plan: name,
    revision: sha256,
    source: name,
    spec: sourceSpec,
    publication: z.number().int().positive().default(1),
  }),
);

/** Make a new base of a source beside its points: they rest on the one before until this has ended. */
export const baseSource = defineCommand(
  "cmd.base.{kind}.{site}.{plan}.{source}",
  z.object({
    baseId: uuid,
    plan: name,
    revision: sha256,
    source: name,
    spec: sourceSpec,
    /** Made already where one was stored since. */
    dueAt: instant,
    /** In words. */
    why: z.string(),
    publication: z.number().int().positive().default(1),
  }),
);

export const validatePoint = defineCommand(
  "cmd.validate.{pointId}",
  z.object({ pointId: uuid, proofId: uuid, plan: name, requestedBy: z.enum(["seal", "person"]) }),
);

export const rehearseSource = defineCommand(
  "cmd.rehearse.{kind}.{site}.{runtime}.{proofId}.{source}",
  z.object({
    proofId: uuid,
    pointId: uuid,
    plan: name,
    source: name,
    kind: sourceKind,
    backups: z.array(backupId).min(1),
    mark,
    runtime,
    queries: z.array(query),
    /** What the egress probe tries from inside the sandbox. */
    addresses: z.array(z.string()),
    vaultUrl: z.url(),
    /** The vault that keeps this proof's results; one for all its sources. */
    resultsUrl: z.url(),
    /** Reads these backups, writes these results. */
    ticket: z.string(),
    timeoutMs: z.number().int().positive(),
  }),
);

/** One run of a task for the repository as a whole. */
export const maintainRepository = defineCommand(
  "cmd.maintain.{task}",
  z.object({
    taskId: uuid,
    task: maintenanceTask,
    dueAt: instant.optional(),
    requestedBy: z.enum(["schedule", "person"]),
  }),
);
