import { z } from "zod";
import { errorBody } from "./errors.ts";
import { defineRequest } from "./messages.ts";
import { backupId, name, uuid } from "./names.ts";
import { backupFigures, mark } from "./point.ts";
import { sourceSpec } from "./source.ts";

/** Where a step is. The asker asks again while it is `working`. */
function step<Done extends z.ZodRawShape>(done: Done) {
  return z.discriminatedUnion("state", [
    z.object({ state: z.literal("working"), doing: z.string(), bytes: z.number().nonnegative() }),
    z.object({ state: z.literal("done"), ...done }),
    z.object({ state: z.literal("failed"), error: errorBody }),
  ]);
}

/** The lease behind the asker's authority; a session refuses an owner that it knows to be replaced. */
const asked = { runId: uuid };

/**
 * Make the base, where one is needed; with a `cutId` also settle for that cut. The first one hands the ticket over.
 */
export const sessionReady = defineRequest(
  "session.{session}.ready",
  z.object({ ...asked, vaultUrl: z.url(), ticket: z.string(), cutId: uuid.optional() }),
  step({
    backups: z.array(backupFigures),
    /** The base that the source's shipped log is laid over, where none was made. */
    standing: z.object({ backupId, bytes: z.number().int().nonnegative() }).optional(),
  }),
);

/** Fix the position. `revision` is what KV gave to the change to `cutting`: a lower one than seen is refused. */
export const sessionCut = defineRequest(
  "session.{session}.cut",
  z.object({
    ...asked,
    cutId: uuid,
    revision: z.number().int().positive(),
    budgetMs: z.number().int().positive(),
    fenced: z.boolean(),
  }),
  z.object({ mark }),
);

/** Make the repository hold everything up to the mark. */
export const sessionFinish = defineRequest(
  "session.{session}.finish",
  z.object({ ...asked, cutId: uuid, vaultUrl: z.url(), ticket: z.string() }),
  step({
    backups: z.array(backupFigures),
    /** What was shipped between the standing base and the mark. */
    logBytes: z.number().int().nonnegative().default(0),
  }),
);

/** End the session without its result. */
export const sessionAbort = defineRequest(
  "session.{session}.abort",
  z.object({ ...asked, reason: z.string() }),
  z.object({ ended: z.literal(true) }),
);

/** The run is over; the source is let go. */
export const sessionClose = defineRequest(
  "session.{session}.close",
  z.object({ ...asked }),
  z.object({ ended: z.literal(true) }),
);

/**
 * Opens a source as a capture does, and lets it go at once: its address, rights and settings tested by use, where its
 * secrets are. Answers with the capture's own error where it could not be opened.
 */
export const examineSource = defineRequest(
  "examine.{kind}.{site}",
  z.object({ source: name, spec: sourceSpec }),
  z.object({ version: z.string(), notes: z.array(z.string()) }),
);
