import { z } from "zod";
import type { GcsClient } from "./gcs-client.ts";
import type { LockState, ObjectLocks } from "./object-locks.ts";

const WHAT = "Cannot lock an object";
const lockFields = z.object({
  temporaryHold: z.boolean().default(false),
  eventBasedHold: z.boolean().default(false),
  retention: z.object({ retainUntilTime: z.string() }).optional(),
  /** By the bucket's own policy, whatever was asked for the object. */
  retentionExpirationTime: z.string().optional(),
});
const bucketFields = z.object({ objectRetention: z.object({ mode: z.string() }).optional() });

/** Object retention in Google's mode `Locked`: nobody can shorten it. A legal hold is a temporary hold. */
export function gcsLocks(gcs: GcsClient, bucket: string): ObjectLocks {
  async function state(name: string, signal?: AbortSignal): Promise<LockState> {
    const query = { fields: "temporaryHold,eventBasedHold,retention,retentionExpirationTime" };
    const path = gcs.objectPath(name);
    const answer = await gcs.request({ path, query, expected: [404], signal, what: WHAT, name });
    if (answer.status === 404) throw await gcs.missing(name, WHAT, signal);
    const fields = lockFields.parse(JSON.parse(Buffer.from(answer.body).toString("utf8")));
    const times = [fields.retention?.retainUntilTime, fields.retentionExpirationTime].filter(
      (time) => time !== undefined,
    );
    const legalHold = fields.temporaryHold || fields.eventBasedHold;
    return times.length === 0 ? { legalHold } : { retainedUntilMs: Math.max(...times.map(Date.parse)), legalHold };
  }
  async function patch(name: string, json: unknown, signal?: AbortSignal): Promise<void> {
    const path = gcs.objectPath(name);
    const answer = await gcs.request({ method: "PATCH", path, json, expected: [404], signal, what: WHAT, name });
    if (answer.status === 404) throw await gcs.missing(name, WHAT, signal);
  }
  return {
    state,
    async available(signal) {
      const path = `storage/v1/b/${encodeURIComponent(bucket)}`;
      const query = { fields: "objectRetention" };
      const answer = await gcs.request({ path, query, signal, what: "Cannot look at the bucket", name: "" });
      const { objectRetention } = bucketFields.parse(JSON.parse(Buffer.from(answer.body).toString("utf8")));
      return objectRetention?.mode === "Enabled";
    },
    async extend(name, untilMs, signal) {
      const { retainedUntilMs = 0 } = await state(name, signal);
      if (untilMs <= retainedUntilMs) return;
      await patch(name, { retention: { mode: "Locked", retainUntilTime: new Date(untilMs).toISOString() } }, signal);
    },
    setLegalHold: (name, held, signal) => patch(name, { temporaryHold: held }, signal),
  };
}
