import { z } from "zod";
import { errorBody } from "./errors.ts";
import { backupId, instant, name, sha256, uuid } from "./names.ts";

/** REST shapes that are not those of a message. */

/** RFC 9457; beside its members those of ErrorBody. */
export const problem = errorBody.extend({
  type: z.literal("about:blank"),
  /** What was attempted, and failed. */
  title: z.string(),
  status: z.number().int(),
  /** Title, place and cause as one sentence. */
  detail: z.string(),
});
export type Problem = z.infer<typeof problem>;

/** Query parameters arrive as text. */
export const pageParameters = z.object({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  /** The `next` of the page before. */
  before: z.string().max(200).optional(),
});

export const planSummary = z.object({
  plan: name,
  revision: sha256,
  acceptedAt: instant,
  sources: z.array(z.object({ source: name, kind: z.string(), site: name })),
  rtoMs: z.number(),
  rpoMs: z.number(),
  schedule: z.array(z.string()),
  /** When it is due next; absent where it has no schedule. */
  nextAt: instant.optional(),
  warnings: z.array(z.string()),
});
export type PlanSummary = z.infer<typeof planSummary>;

/** The definition as it was written: secrets are in it as references only. */
export const planDetail = planSummary.extend({ definition: z.record(z.string(), z.unknown()) });

export const planFileState = z.discriminatedUnion("state", [
  z.object({ path: z.string(), state: z.literal("not-read") }),
  z.object({ path: z.string(), state: z.literal("accepted"), plans: z.array(name) }),
  z.object({ path: z.string(), state: z.literal("rejected"), error: errorBody }),
]);
export type PlanFileState = z.infer<typeof planFileState>;

const serviceHealth = z.object({ ok: z.boolean(), error: errorBody.optional() });

export const health = z.object({
  status: z.enum(["ok", "degraded"]),
  nats: serviceHealth,
  vault: serviceHealth,
  catalog: serviceHealth,
  plans: z.array(name),
  planFile: planFileState.optional(),
});
export type Health = z.infer<typeof health>;

export const restoreTicketsRequest = z.strictObject({
  /** Of these sources; absent: of all. */
  sources: z.array(name).min(1).optional(),
});

export const restoreTickets = z.object({
  vaultUrl: z.url(),
  expiresAt: instant,
  /** One for each source; `GET <vaultUrl>/backups/<backupId>` with `Authorization: Bearer <ticket>`, in this order. */
  tickets: z.array(z.object({ source: name, backups: z.array(backupId).min(1), ticket: z.string() })),
});

export const runAccepted = z.object({ runId: uuid });
export const proofAccepted = z.object({ proofId: uuid });
