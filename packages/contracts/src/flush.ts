import { z } from "zod";
import { defineRequest } from "./messages.ts";

/** The word in a lease (`hears`) of a shipper that answers `flushLog`. */
export const FLUSH = "flush";

/**
 * Store now what the source's log has, and do not wait for the next flush: somebody waits for it. Answered by whoever ships
 * the source, before it is done: what is stored shows in what the vault holds. Asked twice, or while a flush is under way, it
 * is one flush more at most. That nobody answers says that the source is not shipped now, if its lease says that its shipper
 * hears this.
 */
export const flushLog = defineRequest("ship.{plan}.{source}.flush", z.object({}), z.object({ asked: z.literal(true) }));
