import { z } from "zod";
import { instant, name } from "./names.ts";

export const severity = z.enum(["info", "warning", "critical"]);
export type Severity = z.infer<typeof severity>;

/** KV `conditions`, key `<what>.<plan>`, such as `run.shop`: something that is wrong, or was. */
export const condition = z.object({
  state: z.enum(["open", "resolved"]),
  severity,
  title: z.string(),
  detail: z.string(),
  hint: z.string().optional(),
  plan: name.optional(),
  /** The point that it was seen on; an older one's good news does not resolve it. */
  about: z.string().optional(),
  openedAt: instant,
  changedAt: instant,
  /** How often it was seen since it opened. */
  times: z.number().int().positive(),
  /** Of the event that was last applied: an event delivered twice changes nothing. */
  sequence: z.number().int().nonnegative(),
});
export type Condition = z.infer<typeof condition>;

/** KV `outbox`, key `<condition>.<sequence>`: what people are still to be told. Gone when every channel has it. */
export const notice = z.object({
  condition: z.string(),
  /** `noted`: something that happened and that nothing resolves, such as a dead letter. */
  kind: z.enum(["opened", "raised", "resolved", "noted"]),
  severity,
  title: z.string(),
  detail: z.string(),
  hint: z.string().optional(),
  plan: name.optional(),
  /** When it happened. */
  at: instant,
  /** Place among the notices of its condition. */
  sequence: z.number().int().nonnegative(),
  writtenAt: instant,
  /** Ids of the channels that have it. */
  delivered: z.array(z.string()).default([]),
  attempts: z.number().int().nonnegative().default(0),
  retryAt: instant.optional(),
});
export type Notice = z.infer<typeof notice>;
