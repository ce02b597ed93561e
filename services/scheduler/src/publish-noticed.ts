import type { Bus } from "@stillpoint/bus/bus";
import type { Log } from "@stillpoint/bus/log";
import { runBackup } from "@stillpoint/contracts/commands";
import { toInstant, uuidv8 } from "@stillpoint/contracts/names";
import { notifySettings } from "@stillpoint/contracts/source";
import { type NoticeBook, tellsOfChange } from "./notices.ts";
import type { PlanBook, ScheduledPlan } from "./plan-book.ts";

export type NoticeHearerPorts = { bus: Bus; log: Log; book: PlanBook; notices: NoticeBook; now: () => number };

/** Hears the subjects that the plans in force name, whichever these are when `hear` is called. */
export function noticeHearer({ bus, log, book, notices, now }: NoticeHearerPorts) {
  const heard = new Map<string, AsyncDisposable>();

  function take(subject: string, body: unknown): void {
    for (const plan of book.plans()) {
      for (const [source, spec] of Object.entries(plan.sources)) {
        const notify = notifySettings(spec);
        if (notify?.subject !== subject || spec.kind !== "files" || spec.bucket === undefined) continue;
        if (!tellsOfChange(body, spec.bucket)) continue;
        notices.heard(plan.name, notify.everyMs, now());
        log.debug({ plan: plan.name, source }, "the bucket told of a change");
      }
    }
  }

  return {
    async hear(): Promise<void> {
      const specs = book.plans().flatMap(({ sources }) => Object.values(sources));
      const wanted = new Set(specs.flatMap((spec) => notifySettings(spec)?.subject ?? []));
      for (const subject of wanted) {
        if (!heard.has(subject)) heard.set(subject, await bus.hearJson(subject, (body) => take(subject, body)));
      }
      for (const [subject, hearing] of heard) {
        if (wanted.has(subject)) continue;
        heard.delete(subject);
        await hearing[Symbol.asyncDispose]();
      }
    },
    [Symbol.asyncDispose]: async () => {
      for (const hearing of heard.values()) await hearing[Symbol.asyncDispose]();
    },
  };
}

/** Asks for a point where a change was heard of. A run that is under way may have listed before it: then at the next look. */
export async function publishNoticed(
  { bus, log, notices }: { bus: Bus; log: Log; notices: NoticeBook },
  { name: plan, revision }: ScheduledPlan,
  now: number,
): Promise<void> {
  const due = notices.dueOf(plan, now);
  if (due === undefined) return;
  const runId = uuidv8(due, plan, "notification");
  const command = { runId, plan, revision, entries: [], dueAt: toInstant(due), requestedBy: "notification" as const };
  const { outcome } = await bus.publishCommand(runBackup, { plan }, command, { messageId: runId, whenGone: "leave" });
  if (outcome === "occupied") return;
  notices.asked(plan);
  log.info({ plan, runId }, `point asked for by a notification: ${outcome}`);
}
