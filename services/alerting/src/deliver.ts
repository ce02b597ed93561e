import { createHash } from "node:crypto";
import type { Bucket } from "@stillpoint/bus/bucket";
import type { Log } from "@stillpoint/bus/log";
import type { Notice } from "@stillpoint/contracts/alerts";
import { toStillpointError } from "@stillpoint/contracts/errors";
import { toInstant } from "@stillpoint/contracts/names";
import type { AlertRule } from "@stillpoint/contracts/plan";
import { type Secret, secretReference } from "@stillpoint/contracts/secret";
import type { BUCKETS } from "@stillpoint/contracts/topology";
import { type Kept, planDeliveries, retryAfter } from "./outbox.ts";
import type { OutboxBook } from "./outbox-book.ts";
import { slackMessage } from "./slack-message.ts";
import { isAtLeast } from "./transition.ts";
import { type Delivery, postJson } from "./webhook.ts";

export type Courier = {
  outbox: Bucket<(typeof BUCKETS)["outbox"]>;
  book: OutboxBook;
  /** Undefined: not told yet; until then everything waits. */
  rules: readonly AlertRule[] | undefined;
  secret: (reference: string) => Secret;
  log: Log;
  timeoutMs: number;
  firstRetryMs: number;
  /** Hears of each try, to count it. */
  tried: (isDelivered: boolean) => void;
};

/**
 * Sends what is due to every channel that wants it. What a channel has is written down before the next one is asked, so
 * that a crash repeats at most one message, and loses none.
 */
export async function deliverDue(courier: Courier, now: number): Promise<void> {
  const { send, drop } = planDeliveries(courier.book.all(), now);
  for (const { kept, why } of drop) {
    courier.log.warn({ condition: kept.notice.condition, title: kept.notice.title, why }, "notice dropped");
    await courier.outbox.delete(kept.key, kept.revision);
    courier.book.forget(kept.key, kept.revision);
  }
  const { rules } = courier;
  if (rules !== undefined) await Promise.all(send.map((kept) => deliver(courier, rules, kept, now)));
}

async function deliver(courier: Courier, rules: readonly AlertRule[], kept: Kept, now: number): Promise<void> {
  let { notice, revision } = kept;
  let failed: Extract<Delivery, { delivered: false }> | undefined;
  for (const rule of rules) {
    const id = channelId(rule);
    if (!isAtLeast(notice.severity, rule.from) || notice.delivered.includes(id)) continue;
    const result = await sendTo(courier, rule, notice);
    courier.tried(result.delivered);
    if (!result.delivered) {
      failed = result;
      courier.log.error(
        { channel: id, condition: notice.condition, why: result.why },
        "notice not delivered, trying again",
      );
      continue;
    }
    const delivered = [...notice.delivered, id];
    const written = await courier.outbox.update(kept.key, { ...notice, delivered }, revision);
    if (!written.written) return; // somebody else is at it: what he wrote is on its way to us
    notice = { ...notice, delivered };
    revision = written.revision;
  }
  if (failed === undefined) {
    await courier.outbox.delete(kept.key, revision);
    courier.book.forget(kept.key, revision);
    return;
  }
  const attempts = notice.attempts + 1;
  const retryAt = toInstant(now + retryAfter(attempts, courier.firstRetryMs, failed.retryAfterMs));
  const later = { ...notice, attempts, retryAt };
  const written = await courier.outbox.update(kept.key, later, revision);
  if (written.written) courier.book.learn({ key: kept.key, notice: later, revision: written.revision });
}

async function sendTo(courier: Courier, rule: AlertRule, notice: Notice): Promise<Delivery> {
  try {
    const isReference = secretReference.safeParse(rule.slack).success;
    const url = isReference ? courier.secret(rule.slack).reveal() : rule.slack;
    return await postJson(url, slackMessage(notice), courier.timeoutMs);
  } catch (error) {
    // A reference that cannot be resolved here; setting it and starting again delivers what has waited.
    return { delivered: false, why: toStillpointError(error, "Cannot send a notice").message };
  }
}

/** A channel by what the plan file says of it; never by the address itself. */
function channelId(rule: AlertRule): string {
  return createHash("sha256").update(rule.slack).digest("hex").slice(0, 12);
}
