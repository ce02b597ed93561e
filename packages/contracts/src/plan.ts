import { z } from "zod";
import { duration } from "./duration.ts";
import { keepRule } from "./keep.ts";
import { name } from "./names.ts";
import { secretReference } from "./secret.ts";
import { sourceSpec } from "./source.ts";

/** `source.rest`: the source's name, then a locator in it (see query.ts). */
const located = z.string().regex(/^[a-z0-9-]{1,40}\..+$/, "must be source.locator, such as orders.product.id");

/** A rule over one or several sources. `name` is what the proof shows; it is derived from the rule where absent. */
export const checkRule = z.union([
  /** Every value on the left exists on the right. */
  z.strictObject({
    name: z.string().optional(),
    reference: z
      .string()
      .regex(/^[a-z0-9-]{1,40}\..+ -> [a-z0-9-]{1,40}\..+$/, "must be source.locator -> source.locator"),
  }),
  /** The highest number is the same everywhere, and not later than the cut. */
  z.strictObject({ name: z.string().optional(), sequence: z.array(located).min(2) }),
  z.strictObject({
    name: z.string().optional(),
    sql: z.string(),
    source: name,
    expect: z.union([z.string(), z.number(), z.boolean(), z.null()]),
  }),
  z.strictObject({
    name: z.string().optional(),
    cypher: z.string(),
    source: name,
    expect: z.union([z.string(), z.number(), z.boolean(), z.null()]),
  }),
]);
export type CheckRule = z.infer<typeof checkRule>;

export const hook = z.union([
  /** `POST <url>` with `{verb: "quiesce" | "release", fenceId, ttlMs?}`; docs/guide has the contract. */
  z.strictObject({ http: z.url(), token: secretReference.optional() }),
  /** The same body as a NATS request. */
  z.strictObject({ nats: z.string().min(1) }),
  /** The same body as JSON on the program's standard input, its reply on standard output. */
  z.strictObject({ command: z.array(z.string()).min(1) }),
]);
export type Hook = z.infer<typeof hook>;

export const cutRule = z
  .strictObject({
    mode: z.enum(["fence", "align"]),
    hook: hook.optional(),
    /** The application goes on by itself after this long, whatever becomes of us. */
    ttl: duration.prefault("10s"),
    /** All marks must be in after this long, or the cut is given up. */
    budget: duration.prefault("5s"),
  })
  .refine((cut) => cut.mode !== "fence" || cut.hook !== undefined, {
    message: "mode fence needs a hook: how else is the application asked to be quiet?",
    path: ["hook"],
  })
  .refine((cut) => cut.budget < cut.ttl, { message: "must be shorter than ttl", path: ["budget"] });

/** A schedule entry: a preset or a cron expression with five fields. */
export const scheduleEntry = z.union([
  z.string().regex(/^(every \d+(s|m|h|d)|hourly|daily|weekly|monthly)$/, {
    message: "must be `every 5m`, hourly, daily, weekly, monthly, or {name, cron}",
  }),
  z.strictObject({ name, cron: z.string(), timeZone: z.string().optional() }),
]);
export type ScheduleEntry = z.infer<typeof scheduleEntry>;

export const plan = z.strictObject({
  objectives: z.strictObject({ rto: duration.prefault("15m"), rpo: duration.prefault("5m") }).prefault({}),
  sources: z.record(name, sourceSpec).refine((sources) => Object.keys(sources).length > 0, "needs a source"),
  cut: cutRule.prefault({ mode: "align" }),
  schedule: z.array(scheduleEntry).default([]),
  timeZone: z.string().default("UTC"),
  keep: keepRule.prefault({}),
  /** Sources that a point may be sealed without, as `partial`. */
  optional: z.array(name).default([]),
  checks: z.array(checkRule).default([]),
  /** A proof needs closed egress, unless this says otherwise. */
  permitEgress: z.boolean().default(false),
  /** Prove each point by itself. */
  validate: z.boolean().default(true),
});
export type Plan = z.infer<typeof plan>;
export type PlanInput = z.input<typeof plan>;

export const alertRule = z.strictObject({
  slack: secretReference.or(z.url()),
  from: z.enum(["info", "warning", "critical"]).default("warning"),
});
export type AlertRule = z.infer<typeof alertRule>;

export const planFile = z.strictObject({
  plans: z.record(name, plan),
  alerts: z.array(alertRule).default([]),
});
export type PlanFile = z.infer<typeof planFile>;
