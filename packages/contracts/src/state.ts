import { z } from "zod";
import { errorBody } from "./errors.ts";
import { backupId, instant, name, sha256, sourceKind, token, uuid } from "./names.ts";
import { alertRule, plan } from "./plan.ts";
import { cutEvidence, mark, runtime } from "./point.ts";

/** A claim that must be renewed; the revision it was created with is its fence token. */
export const lease = z.object({
  owner: token,
  since: instant,
  renewedAt: instant.optional(),
  /** Requests that its owner answers for as long as it lives; absent: nothing is known of that. */
  hears: z.array(token).optional(),
  /** The revision of the create. Absent until the first renewal: until then the entry's own revision is the token. */
  fenceToken: z.number().int().positive().optional(),
});

const common = {
  runId: uuid,
  plan: name,
  revision: sha256,
  pointId: uuid,
  entries: z.array(z.string()),
  requestedBy: z.enum(["schedule", "person", "notification"]),
  startedAt: instant,
  /** The orchestrator process that drives the run. */
  owner: token,
  /** Of the change that wrote this; its author recognises its own by it. */
  changeId: uuid,
  attempts: z.number().int().positive(),
  voidedCuts: z.number().int().nonnegative(),
  /** The last sequence of EVT before the run: its events come after. */
  eventsAfter: z.number().int().nonnegative(),
};

/** KV `runs`, key `<runId>`: design/cut.md's states. */
export const runState = z.discriminatedUnion("state", [
  z.object({ ...common, state: z.literal("opened") }),
  z.object({ ...common, state: z.literal("cutting"), cutId: uuid, fenceId: uuid.optional() }),
  z.object({ ...common, state: z.literal("marked"), evidence: cutEvidence }),
  z.object({ ...common, state: z.literal("finished"), evidence: cutEvidence }),
  z.object({ ...common, state: z.literal("sealed"), sealedAt: instant }),
  z.object({ ...common, state: z.literal("failed"), error: errorBody, failedAt: instant }),
]);
export type RunState = z.infer<typeof runState>;

/** KV `runs`, key `<runId>.<source>`: what a source brought to the run. */
export const runSource = z.object({
  source: name,
  kind: sourceKind,
  site: name,
  session: token,
  fenceToken: z.number().int().positive(),
  runtime,
  addresses: z.array(z.string()),
  base: z.array(backupId),
  mark: mark.optional(),
  finished: z.array(backupId),
  bytes: z.number().nonnegative(),
  storedBytes: z.number().nonnegative(),
  sizeBytes: z.number().int().nonnegative().optional(),
  ms: z.number().nonnegative(),
  skipped: z.string().optional(),
});
export type RunSource = z.infer<typeof runSource>;

/** KV `plans`, key `<plan>`. `definition` is stored as the user wrote it and read with its defaults. */
export const planRevision = z.object({ plan: name, revision: sha256, definition: plan, acceptedAt: instant });
export type PlanRevision = z.infer<typeof planRevision>;

/** KV `installation`, key `alerts`. */
export const alertRules = z.object({ alerts: z.array(alertRule) });

/** KV `agents`, key `<kind>.<site>.<agent>`: gone when the agent is. */
export const agentState = z.object({
  agent: token,
  kind: sourceKind,
  site: name,
  roles: z.array(z.enum(["capture", "rehearsal"])),
  /** Runtime ids that it can rehearse. */
  runtimes: z.array(token),
  since: instant,
});
export type AgentState = z.infer<typeof agentState>;

export const cancellation = z.object({ at: instant, reason: z.string() });

/** KV `ticks`, key `<plan>`: which instants of its schedule have been dealt with. Only grows. */
export const tickState = z.object({
  plan: name,
  /** The newest instant that was published, or refused. */
  through: instant,
  /** Entries whose run was refused because another one was under way: they go with the next. */
  carried: z.array(z.object({ entry: z.string(), slot: instant })).default([]),
  /** When they are offered again, should no other entry be due before. */
  retryAt: instant.optional(),
});
export type TickState = z.infer<typeof tickState>;

/** KV `replay-rates`, key `<plan>.<source>`: how fast its log was replayed when it was rehearsed last. */
export const replayRate = z.object({ bytesPerSecond: z.number().positive(), at: instant });
export type ReplayRate = z.infer<typeof replayRate>;

/** KV `attempts`, key `<durable>.<sequence>`. */
export const attempts = z.object({ attempts: z.number().int().nonnegative() });

/** KV `requests`, key SHA-256 of what was asked with which key: the id that the first such request was given. */
export const requested = z.object({ id: uuid, at: instant });

/** KV `usual`, key `<plan>`: the whole points that say what is usual, oldest first. */
export const usualPoints = z.object({
  points: z.array(uuid),
  /** The last point that was unlike them. */
  last: uuid.optional(),
  alarm: z
    .object({
      sources: z.array(name),
      held: z.object({ pointId: uuid, holdId: uuid, proven: z.boolean() }).optional(),
    })
    .optional(),
});
export type UsualPoints = z.infer<typeof usualPoints>;
