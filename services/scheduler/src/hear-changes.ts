import { sourceChanged } from "@stillpoint/contracts/events";
import { watchSettings } from "@stillpoint/contracts/source";
import type { NoticeHearerPorts } from "./publish-noticed.ts";

/** Hears agents tell of changes in watched sources, for a point to be asked for. */
export function hearChanges({ bus, log, book, notices, now }: NoticeHearerPorts): Promise<AsyncDisposable> {
  return bus.hearSignals(sourceChanged, {}, ({ body: { plan, source, by } }) => {
    const spec = book.plans().find(({ name }) => name === plan)?.sources[source];
    const watch = spec && watchSettings(spec);
    // The plan may have changed since: then nobody wants it any more.
    if (watch === undefined) return;
    notices.heard(plan, watch.everyMs, now());
    log.debug({ plan, source, by }, "a watched source changed");
  });
}
