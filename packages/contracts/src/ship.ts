import { z } from "zod";
import { byteSize } from "./byte-size.ts";
import { duration } from "./duration.ts";
import type { SourceSpec } from "./source.ts";

const flush = duration.refine((ms) => ms >= 100 && ms <= 3_600_000, "must be between 100ms and 1h");

const baseAge = duration.refine((ms) => ms >= 300_000, "must be at least 5m");

/** Text that is kept as it was written, so that a spec that was read is still one that can be read. */
export function written(schema: z.ZodType<unknown, string>) {
  return z.string().superRefine((text, context) => {
    const parsed = schema.safeParse(text);
    if (!parsed.success) for (const { message } of parsed.error.issues) context.addIssue(message);
  });
}

/** How a source's log is shipped. */
export const shipRule = z.strictObject({
  /** At most so long is what is committed nowhere but on the source. */
  flush: written(flush).default("5s"),
  /** The source keeps at most so much log for a shipper that does not come; past it the log is given up. */
  retain: written(byteSize).default("4GiB"),
  /** At the latest so long after a base a new one is made beside the points; absent: a day, of Neo4j seven. */
  base: written(baseAge).optional(),
});

/** Of a source that has a log. */
export const shipField = z.union([z.literal("off"), shipRule]).default({ flush: "5s", retain: "4GiB" });

export type ShipSettings = { flushMs: number; retainMostBytes: number; baseMs: number };

/** Undefined: the source has no log, or its log is not wanted. */
export function shipSettings(spec: SourceSpec): ShipSettings | undefined {
  if (!("ship" in spec) || spec.ship === "off") return undefined;
  if (spec.kind === "postgres" && spec.dump !== undefined) return undefined;
  // Without the server's files there is no log to be had.
  if (spec.kind === "neo4j" && spec.data === undefined) return undefined;
  const { flush: every, retain, base = spec.kind === "neo4j" ? "7d" : "1d" } = spec.ship;
  return { flushMs: flush.parse(every), retainMostBytes: byteSize.parse(retain), baseMs: baseAge.parse(base) };
}
