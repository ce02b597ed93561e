import type { Bus } from "@stillpoint/bus/bus";
import type { PlanFileState } from "@stillpoint/contracts/rest";
import { z } from "zod";
import type { Asker } from "../ask.ts";
import type { PlanBuckets } from "../publish-plans.ts";

/** What the routes work with. */
export type RestPorts = {
  bus: Bus;
  buckets: PlanBuckets;
  asker: Asker;
  planFile: () => PlanFileState | undefined;
  now: () => number;
};

/** Reads are asked again for a moment while the catalog starts. */
export const QUERY = { timeoutMs: 10_000, patienceMs: 2_000 };

/** The same key within a day is the same request: its answer may be asked for again after a broken connection. */
export const idempotencyHeaders = z.object({ "idempotency-key": z.string().min(1).max(200).optional() });
