import type { BucketRule } from "@stillpoint/contracts/source";
import { z } from "zod";

/** The form that S3 and everything that speaks like it gives to a notification, as far as it is looked at here. */
const notification = z.object({
  Records: z.array(
    z.object({
      eventName: z.string(),
      s3: z.object({ bucket: z.object({ name: z.string() }), object: z.object({ key: z.string() }) }),
    }),
  ),
});
/** What is said when notifications are set up; it tells of no object. */
const trial = z.object({ Event: z.literal("s3:TestEvent") });

/** What an event is called where an object has other bytes, headers or versions than before. */
const CHANGES = /^(s3:)?(Object(Created|Removed)|LifecycleExpiration):/;

/** Whether a notification tells of a change in what a source captures. Throws where it is none. Pure. */
export function tellsOfChange(body: unknown, rule: Pick<BucketRule, "url">): boolean {
  if (trial.safeParse(body).success) return false;
  const { hostname, pathname } = new URL(rule.url);
  const path = decodeURIComponent(pathname.replace(/^\/+|\/+$/g, ""));
  const prefix = path === "" ? "" : `${path}/`;
  return notification.parse(body).Records.some(({ eventName, s3 }) => {
    if (!CHANGES.test(eventName) || s3.bucket.name !== hostname) return false;
    // S3 has keys encoded as forms do, others have them plain.
    return [s3.object.key, decoded(s3.object.key)].some((key) => key.startsWith(prefix));
  });
}

function decoded(key: string): string {
  try {
    return decodeURIComponent(key.replaceAll("+", " "));
  } catch (error) {
    if (error instanceof URIError) return key; // plain, with a percent sign in it
    throw error;
  }
}

/**
 * Changes that were heard of, by plan, until a point was asked for. It is asked for at the end of the span of `everyMs` that a
 * change was heard in: one point for all of a span, the same one whichever replica of the scheduler asks.
 */
export function noticeBook() {
  const dueMs = new Map<string, number>();
  return {
    heard(plan: string, everyMs: number, nowMs: number): void {
      const due = (Math.floor(nowMs / everyMs) + 1) * everyMs;
      // An earlier one that is still to be asked for is begun after this change too; one far ahead was a wrong clock's.
      dueMs.set(plan, Math.min(dueMs.get(plan) ?? due, due));
    },
    dueOf(plan: string, nowMs: number): number | undefined {
      const due = dueMs.get(plan);
      return due === undefined || due > nowMs ? undefined : due;
    },
    asked: (plan: string) => void dueMs.delete(plan),
  };
}
export type NoticeBook = ReturnType<typeof noticeBook>;
