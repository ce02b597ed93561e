import type { Bucket } from "@stillpoint/bus/bucket";
import type { Bus } from "@stillpoint/bus/bus";
import type { Log } from "@stillpoint/bus/log";
import { baseSource } from "@stillpoint/contracts/commands";
import { toInstant, uuidv8 } from "@stillpoint/contracts/names";
import { shipSettings } from "@stillpoint/contracts/ship";
import type { SourceSpec } from "@stillpoint/contracts/source";
import type { BUCKETS } from "@stillpoint/contracts/topology";
import { vaultLog } from "@stillpoint/contracts/vault";
import { longEntries } from "@stillpoint/schedule/fresh-base";
import { nextInstant } from "@stillpoint/schedule/schedule";
import { baseDue } from "./base-due.ts";
import type { ScheduledPlan } from "./plan-book.ts";

export type BaseAsker = {
  bus: Bus;
  log: Log;
  rates: Bucket<(typeof BUCKETS)["replayRates"]>;
  now: () => number;
  /** Sources, as `<plan>.<source>`, of whose log no base served at the last look: a point that is under way may just make one. */
  unserved: Set<string>;
};

const ASKED_WITHIN_MS = 10_000;

/** Asks for a base beside the points wherever one is due. The server refuses a second of a source while one is under way. */
export async function publishBases(asker: BaseAsker, plan: ScheduledPlan): Promise<void> {
  const results = await Promise.allSettled(
    Object.entries(plan.sources).map(([source, spec]) => publishBase(asker, plan, source, spec)),
  );
  const failure = results.find((result) => result.status === "rejected");
  if (failure !== undefined) throw failure.reason;
}

async function publishBase(asker: BaseAsker, plan: ScheduledPlan, source: string, spec: SourceSpec): Promise<void> {
  const { kind } = spec;
  const settings = shipSettings(spec);
  if (settings === undefined || kind === "files" || kind === "qdrant") return;
  const { bus, rates, unserved } = asker;
  const key = `${plan.name}.${source}`;
  const { held, baseServes, holes, replay, newestBaseAt } = await bus.request(
    vaultLog,
    {},
    { plan: plan.name, source },
    { timeoutMs: ASKED_WITHIN_MS },
  );
  // Nothing is shipped yet, or nothing new came since: its first point makes its base.
  if (held === undefined) return;
  const nowMs = asker.now();
  const state = {
    kind,
    replay:
      !baseServes || replay === undefined
        ? undefined
        : { storedMs: Date.parse(replay.storedAt), baseBytes: replay.bytes, logBytes: replay.logBytes },
    newestBaseMs: newestBaseAt === undefined ? undefined : Date.parse(newestBaseAt),
    gapMs: holes
      .flatMap(({ at }) => (at === undefined ? [] : [Date.parse(at)]))
      .toSorted((a, b) => a - b)
      .at(-1),
    bytesPerSecond: (await rates.get(key))?.value.bytesPerSecond,
    rtoMs: plan.rtoMs,
    baseMs: settings.baseMs,
    nextLongMs: nextInstant(longEntries(plan.entries), nowMs),
  };
  const wasUnserved = unserved.delete(key);
  const why = baseDue(state, nowMs);
  if (why === undefined) return;
  if (state.replay === undefined) {
    unserved.add(key);
    if (!wasUnserved) return;
  }
  const baseId = uuidv8(nowMs, "base", plan.name, source);
  const { outcome } = await bus.publishCommand(
    baseSource,
    { kind, site: spec.at, plan: plan.name, source },
    { baseId, plan: plan.name, revision: plan.revision, source, spec, dueAt: toInstant(nowMs), why },
    { messageId: baseId },
  );
  if (outcome === "stored") asker.log.info({ plan: plan.name, source, why }, "base asked for");
}
