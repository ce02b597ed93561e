import { logPosition } from "@stillpoint/contracts/log";
import { z } from "zod";
import { walAddress } from "./wal-address.ts";

/** Where the copies of a base stand in their databases' logs: not before `from`, and not behind `to`. */
export const baseRecord = z.object({
  databases: z.array(
    z.object({ name: z.string(), pageSize: z.number().int().positive(), from: walAddress, to: walAddress }),
  ),
  /** Wall clock: what was committed before it is in the copies, … */
  beganAt: z.number(),
  /** … and what was committed after this is not. */
  at: z.number(),
  /** All that the log has before this position is in the copies. */
  needsFrom: logPosition,
  /** The first position from which on the base is whole. */
  wholeFrom: logPosition,
});
export type BaseRecord = z.infer<typeof baseRecord>;
