import { z } from "zod";
import { duration } from "./duration.ts";

export const KEEP_PRESETS = ["tiered-15m", "30-12-6", "7-4-12", "flat-30d"] as const;
export type KeepPreset = (typeof KEEP_PRESETS)[number];

const count = z.number().int().min(1).max(100_000);

/** How many points of each kind are kept; a point that any of them wants stays. */
export const keepCounts = z
  .strictObject({
    last: count.optional(),
    hourly: count.optional(),
    daily: count.optional(),
    weekly: count.optional(),
    monthly: count.optional(),
    yearly: count.optional(),
    within: duration.optional(),
  })
  .refine((counts) => Object.keys(counts).length > 0, "must name at least one: last, hourly, daily, …, within");
export type KeepCounts = z.infer<typeof keepCounts>;

export const keepRule = z.strictObject({
  /** How far back any moment can be had. */
  log: duration.prefault("7d"),
  points: z.union([z.enum(KEEP_PRESETS), keepCounts]).prefault("tiered-15m"),
  /** So many of the newest whole points always stay, whatever else is asked for. */
  minimum: count.default(3),
});
export type KeepRule = z.infer<typeof keepRule>;

/** A point's own retention: it replaces the plan's. */
export const ownRetention = z.union([z.literal("never"), z.iso.datetime({ precision: 3 })]);
