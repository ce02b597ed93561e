import { z } from "zod";
import { errorBody } from "./errors.ts";
import { defineRequest } from "./messages.ts";
import { backupId, instant, name, uuid, verdict } from "./names.ts";
import { backupFigures, point, proof } from "./point.ts";

const page = { limit: z.number().int().min(1).max(200).default(50), before: z.string().optional() };
const next = { next: z.string().optional() };

/** A point with its newest verdict; `unproven` until a proof is sealed. */
export const pointSummary = z.object({
  point,
  verdict: z.union([verdict, z.literal("unproven")]),
  rtoMs: z.number().optional(),
});
export type PointSummary = z.infer<typeof pointSummary>;

export const runRow = z.object({
  runId: uuid,
  plan: name,
  pointId: uuid,
  state: z.enum(["running", "finished", "failed"]),
  partial: z.boolean().default(false),
  error: errorBody.optional(),
  startedAt: instant,
  finishedAt: instant.optional(),
});
export type RunRow = z.infer<typeof runRow>;

/** Newest first; `before` is the last id of the page before. */
export const queryPoints = defineRequest(
  "query.points",
  z.object({ plan: name.optional(), ...page }),
  z.object({ points: z.array(pointSummary), ...next }),
);
export const queryPoint = defineRequest(
  "query.point",
  z.object({ pointId: uuid }),
  z.object({ point, proofs: z.array(proof), backups: z.array(backupFigures) }),
);
export const queryBackups = defineRequest(
  "query.backups",
  z.object({ plan: name.optional(), source: name.optional(), ...page }),
  z.object({ backups: z.array(backupFigures), ...next }),
);
export const queryBackup = defineRequest("query.backup", z.object({ backupId }), z.object({ backup: backupFigures }));
export const queryRuns = defineRequest(
  "query.runs",
  z.object({ plan: name.optional(), ...page }),
  /** `notes`: what is not in the list, such as runs that an earlier catalog alone knew. */
  z.object({ runs: z.array(runRow), notes: z.array(z.string()).default([]), ...next }),
);
export const queryRun = defineRequest("query.run", z.object({ runId: uuid }), z.object({ run: runRow }));

/**
 * Makes points, proofs and backups anew from the repository. Run history is not in the repository: what a catalog knows of it
 * is kept, and `notes` say of how many points the run is not known.
 */
export const catalogRebuild = defineRequest(
  "catalog.rebuild",
  z.object({}),
  z.object({
    points: z.number().int(),
    proofs: z.number().int(),
    backups: z.number().int(),
    notes: z.array(z.string()),
  }),
);
