import { z } from "zod";
import { errorBody } from "./errors.ts";
import { logGap, logPosition } from "./log.ts";
import { maintenanceReport } from "./maintenance.ts";
import { defineEvent, defineSignal } from "./messages.ts";
import { backupId, backupType, instant, name, sha256, sourceKind, token, uuid } from "./names.ts";
import { backupFigures, point, proof, runtime } from "./point.ts";

const run = { runId: uuid, plan: name, pointId: uuid, at: instant };

export const runStarted = defineEvent(
  "evt.run.{runId}.started",
  z.object({
    ...run,
    revision: sha256,
    entries: z.array(z.string()),
    requestedBy: z.enum(["schedule", "person", "notification"]),
  }),
);
/** No point was made. */
export const runFailed = defineEvent(
  "evt.run.{runId}.failed",
  z.object({ ...run, error: errorBody, source: name.optional() }),
);
/** A point was sealed, whole or partial. */
export const runFinished = defineEvent(
  "evt.run.{runId}.finished",
  z.object({ ...run, partial: z.boolean(), skipped: z.array(z.object({ source: name, reason: z.string() })) }),
);

const capture = { runId: uuid, plan: name, source: name, at: instant };

export const captureOpened = defineEvent(
  "evt.capture.{runId}.{source}.opened",
  z.object({
    ...capture,
    kind: sourceKind,
    site: name,
    session: token,
    /** The highest one counts. */
    fenceToken: z.number().int().positive(),
    version: z.string(),
    runtime,
    /** What the store holds, by its own word. */
    sizeBytes: z.number().int().nonnegative().optional(),
    hasLog: z.boolean(),
    /** What is made before the cut; absent where everything comes with the finish, or a base that stands already serves. */
    base: backupType.optional(),
    /** The base that stands already. */
    baseServes: backupId.optional(),
    finish: backupType,
    /** Where the source answers; a rehearsal must not reach it. */
    addresses: z.array(z.string()),
    notes: z.array(z.string()),
  }),
);
/** The source could not be opened; the agent will try again where `error.retry` says so. */
export const captureRefused = defineEvent(
  "evt.capture.{runId}.{source}.refused",
  z.object({ ...capture, fenceToken: z.number().int().positive(), error: errorBody }),
);

const heldPoint = z.object({ pointId: uuid, holdId: uuid, proven: z.boolean() });
const judged = { runId: uuid, plan: name, source: name, pointId: uuid, at: instant };

/** A source in a sealed point is far from what it was in those before: its size, how much of it is new, what was counted. */
export const captureAnomaly = defineEvent(
  "evt.capture.{runId}.{source}.anomaly",
  z.object({
    ...judged,
    kind: sourceKind,
    findings: z.array(
      z.object({ what: z.string(), value: z.number(), usual: z.number(), unit: z.enum(["bytes", "%", "count"]) }),
    ),
    findingCount: z.number().int().positive(),
    /** The point that no retention takes until a person releases the hold. */
    held: heldPoint.optional(),
  }),
);
/** A source that was unlike itself is as it was, or counts so from now on. */
export const captureUsual = defineEvent("evt.capture.{runId}.{source}.usual", z.object({ ...judged, why: z.string() }));

export const backupStored = defineEvent("evt.backup.{backupId}.stored", z.object({ figures: backupFigures }));
export const pointSealed = defineEvent("evt.point.{pointId}.sealed", z.object({ point }));
/** It is no longer among the points; what it stood on is freed when the collector's grace is over. */
export const pointDeleted = defineEvent(
  "evt.point.{pointId}.deleted",
  z.object({ pointId: uuid, plan: name, by: z.string(), reasons: z.array(z.string()), at: instant }),
);
export const proofSealed = defineEvent("evt.proof.{pointId}.sealed", z.object({ proof }));

export const planAccepted = defineEvent(
  "evt.plan.{plan}.accepted",
  z.object({ plan: name, revision: sha256, at: instant }),
);
/** A new plan file was refused; what was accepted before stays in force. `plan` is `plan-file` where the file as a whole is bad. */
export const planRejected = defineEvent(
  "evt.plan.{plan}.rejected",
  z.object({ plan: name, error: errorBody, at: instant }),
);

/** A task for the repository as a whole came to its end, whatever that was. */
export const maintenanceFinished = defineEvent(
  "evt.maintenance.{taskId}.finished",
  z.object({ report: maintenanceReport }),
);

const rehearsal = { proofId: uuid, pointId: uuid, source: name, at: instant };

export const rehearsalStarted = defineEvent("evt.rehearsal.{proofId}.{source}.started", z.object({ ...rehearsal }));
export const rehearsalFinished = defineEvent(
  "evt.rehearsal.{proofId}.{source}.finished",
  z.object({
    ...rehearsal,
    version: z.string(),
    recovered: z.string(),
    /** From the command's start until the restored server answered. */
    restoreMs: z.number().nonnegative(),
    ms: z.number().nonnegative(),
    /** Of a source that rests on its log: its bytes without padding, and how long the server took to start and to replay it. */
    replay: z.object({ bytes: z.number().nonnegative(), ms: z.number().positive() }).optional(),
    /** Ids of the queries whose rows the vault holds. */
    answered: z.array(token),
    failed: z.array(z.object({ id: token, error: errorBody })),
    egress: z.array(z.object({ address: z.string(), reached: z.boolean(), detail: z.string() })),
    notes: z.array(z.string()),
  }),
);
export const rehearsalFailed = defineEvent(
  "evt.rehearsal.{proofId}.{source}.failed",
  z.object({ ...rehearsal, error: errorBody }),
);

/** A key of the repository is to be replaced, soon or now; `why` it is not replaced by itself. Told once a day until it is. */
export const keyDue = defineEvent(
  "evt.key.{slot}.due",
  z.object({
    repositoryId: z.string(),
    slot: token,
    method: z.string(),
    /** What it opens with, in words; never a secret. */
    target: z.string(),
    label: z.string().optional(),
    dueAt: instant,
    state: z.enum(["soon", "due"]),
    why: z.string(),
    at: instant,
  }),
);
/** A key was replaced by itself: `slot` is the new one, which has proved to open. */
export const keyRotated = defineEvent(
  "evt.key.{slot}.rotated",
  z.object({ repositoryId: z.string(), slot: token, replaced: z.array(token), at: instant }),
);

const log = { plan: name, source: name, kind: sourceKind, at: instant };

/** What was written down of a hole in a source's log. */
export const logGapped = defineEvent("evt.log.{plan}.{source}.gap", z.object({ gap: logGap }));
/** A source's log flows: told when a shipper that has begun, or begun anew, reports its first progress. */
export const shippingStarted = defineEvent(
  "evt.log.{plan}.{source}.started",
  z.object({ ...log, agent: token, fenceToken: z.number().int().positive(), held: logPosition }),
);
/** The log flows no more; the shipper tries again by itself, until `started` is told. Of many tries one a minute is told. */
export const shippingFailed = defineEvent(
  "evt.log.{plan}.{source}.failed",
  z.object({
    ...log,
    agent: token,
    error: errorBody,
    attempt: z.number().int().positive(),
    againInMs: z.number().int(),
    /** For how long it has not flowed; absent where an older agent told it. */
    forMs: z.number().int().nonnegative().optional(),
  }),
);
/** Its plan does not want it any more, or it is not there. What the source kept for the shipper is the driver's to let go. */
export const shippingStopped = defineEvent("evt.log.{plan}.{source}.stopped", z.object({ ...log, why: z.string() }));

/** A base was made beside the points. */
export const baseMade = defineEvent(
  "evt.base.{plan}.{source}.made",
  z.object({ ...log, baseId: uuid, why: z.string(), figures: backupFigures }),
);
/** None was: the one before goes on to serve, if one did. It is asked for again. */
export const baseFailed = defineEvent(
  "evt.base.{plan}.{source}.failed",
  z.object({ ...log, baseId: uuid, why: z.string(), error: errorBody }),
);

/** How far a source's log is shipped; lost without harm. */
export const logShipped = defineSignal(
  "log.{plan}.{source}.shipped",
  z.object({
    ...log,
    held: logPosition,
    server: logPosition,
    /** What the server has and the repository does not. */
    lagBytes: z.number().nonnegative(),
    /** For how long that has not been nothing. */
    lagMs: z.number().nonnegative(),
  }),
);

/**
 * A watched source changed, or may have: a point is asked for, soon. Whoever watches says it again at the next change, and
 * what is lost altogether the plan's schedule makes up for.
 */
export const sourceChanged = defineSignal(
  "changed.{plan}.{source}",
  z.object({ plan: name, source: name, at: instant, by: z.enum(["event", "rescan", "start"]) }),
);

/** How far a step is: for progress bars, lost without harm. */
export const progress = defineSignal(
  "progress.{runId}.{source}",
  z.object({
    runId: uuid,
    source: name,
    kind: sourceKind,
    step: z.enum(["open", "base", "settle", "cut", "finish", "restore", "start", "check", "done", "failed"]),
    backupId: backupId.optional(),
    bytes: z.number().nonnegative(),
    /** What it will be, as far as is known. */
    totalBytes: z.number().nonnegative().optional(),
    storedBytes: z.number().nonnegative().optional(),
    ms: z.number().nonnegative(),
  }),
);
