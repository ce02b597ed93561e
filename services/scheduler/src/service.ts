import { BUCKETS } from "@stillpoint/contracts/topology";
import { parseSchedule } from "@stillpoint/schedule/schedule";
import { defineService } from "@stillpoint/service/define-service";
import { keepRunning } from "@stillpoint/service/keep-running";
import { schedulerConfig } from "./config.ts";
import { hearChanges } from "./hear-changes.ts";
import { schedulerMetrics } from "./metrics.ts";
import { noticeBook } from "./notices.ts";
import { planBook } from "./plan-book.ts";
import { type BaseAsker, publishBases } from "./publish-bases.ts";
import { type Publisher, publishDue } from "./publish-due.ts";
import { publishMaintenance } from "./publish-maintenance.ts";
import { noticeHearer, publishNoticed } from "./publish-noticed.ts";
import { publishShipping, type ShippingAsker } from "./publish-shipping.ts";

/** Knows when something is due. Any number of replicas tick the same instants; each is one run. */
export const service = defineService({
  name: "scheduler",
  config: schedulerConfig,
  async start({ bus, config, clock, log, every, readyWhen, registry }, resources) {
    const plans = await bus.bucket(BUCKETS.plans);
    const ticks = await bus.bucket(BUCKETS.ticks);
    const metrics = schedulerMetrics(registry);
    const book = planBook(log);
    readyWhen("plans", book.isCurrent);

    resources.use(
      keepRunning(log, "plans", async (signal) => {
        const read = book.readPlans();
        for await (const change of plans.watch(">", signal)) read(change);
      }),
    );
    resources.use(
      keepRunning(log, "ticks", async (signal) => {
        const read = book.readTicks();
        for await (const change of ticks.watch(">", signal)) read(change);
      }),
    );

    const caretaker = { bus, log, ticks: await bus.bucket(BUCKETS.maintenanceTicks), through: new Map() };
    const care = config.STILLPOINT_MAINTENANCE.flatMap(({ task, entry }) =>
      parseSchedule({ schedule: [entry], timeZone: "UTC" }).map((parsed) => ({ task, entry: parsed })),
    );

    const asker: ShippingAsker = { bus, log, monotonicMs: clock.monotonicMs, askedMs: new WeakMap() };
    const notices = noticeBook();
    const hearer = resources.use(noticeHearer({ bus, log, book, notices, now: clock.now }));
    resources.use(await hearChanges({ bus, log, book, notices, now: clock.now }));
    const bases: BaseAsker = {
      bus,
      log,
      rates: await bus.bucket(BUCKETS.replayRates),
      now: clock.now,
      unserved: new Set(),
    };
    const publisher: Publisher = {
      bus,
      log,
      ticks,
      book,
      retryMs: config.STILLPOINT_SCHEDULER_RETRY_MS,
      ticked: (plan, outcome) => {
        metrics.ticks.inc({ plan, outcome });
        metrics.lastTick.set({ plan }, clock.now() / 1_000);
      },
    };
    resources.use(
      every(config.STILLPOINT_SCHEDULER_TICK_MS, async (now) => {
        // Before everything is known, a plan's ticks would look as if there were none.
        if (!book.isCurrent()) return;
        for (const { plan, revision } of book.forgotten()) await ticks.delete(plan, revision);
        const results = await Promise.allSettled([
          hearer.hear(),
          ...book.plans().map((plan) => publishDue(publisher, plan, now)),
          ...book.plans().map((plan) => publishShipping(asker, plan)),
          ...book.plans().map((plan) => publishNoticed({ bus, log, notices }, plan, now)),
          ...care.map(({ task, entry }) => publishMaintenance(caretaker, task, entry, now)),
        ]);
        const failures = results.filter((result) => result.status === "rejected").map(({ reason }) => reason);
        // One plan's or task's trouble is not another's; all of it is told.
        if (failures.length > 0)
          throw new AggregateError(failures, `${failures.length} plans or tasks not ticked: ${failures[0]}`);
      }),
    );
    // Apart from the ticks: a vault that is slow to answer holds up no run.
    resources.use(
      every(config.STILLPOINT_SCHEDULER_BASES_MS, async () => {
        if (!book.isCurrent()) return;
        const results = await Promise.allSettled(book.plans().map((plan) => publishBases(bases, plan)));
        const failures = results.flatMap((result) => (result.status === "rejected" ? [result.reason] : []));
        if (failures.length > 0)
          throw new AggregateError(failures, `the bases of ${failures.length} plans not looked at: ${failures[0]}`);
      }),
    );
  },
});
