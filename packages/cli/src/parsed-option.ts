import { StillpointError } from "@stillpoint/contracts/errors";
import type { z } from "zod";

/** Reads an option's text by a schema; `what` is what it is, for people. */
export function parsed<Schema extends z.ZodType>(schema: Schema, what: string): (text: string) => z.output<Schema> {
  return (text) => {
    const result = schema.safeParse(text);
    if (result.success) return result.data;
    throw new StillpointError("INVALID_REQUEST", {
      what: `Cannot read ${what}`,
      where: text,
      why: result.error.issues[0]?.message,
    });
  };
}
