import type { Fact } from "@stillpoint/bus/events";
import { on } from "@stillpoint/bus/project";
import {
  baseFailed,
  baseMade,
  captureAnomaly,
  captureUsual,
  logGapped,
  maintenanceFinished,
  planAccepted,
  planRejected,
  pointSealed,
  proofSealed,
  runFailed,
  shippingFailed,
  shippingStarted,
  shippingStopped,
} from "@stillpoint/contracts/events";
import type { Event } from "@stillpoint/contracts/messages";
import { uuidv7 } from "@stillpoint/contracts/names";
import type { AlertRule } from "@stillpoint/contracts/plan";
import { BUCKETS } from "@stillpoint/contracts/topology";
import { defineService } from "@stillpoint/service/define-service";
import { keepRunning } from "@stillpoint/service/keep-running";
import { alertingConfig } from "./config.ts";
import { deliverDue } from "./deliver.ts";
import { alertingMetrics } from "./metrics.ts";
import {
  type Observation,
  observeCaptureAnomaly,
  observeCaptureUsual,
  observeDeadLetter,
  observeMaintenanceFinished,
  observePlanAccepted,
  observePlanRejected,
  observePointSealed,
  observeProofSealed,
  observeRunFailed,
} from "./observation.ts";
import {
  observeBaseFailed,
  observeBaseMade,
  observeLogGapped,
  observeShippingFailed,
  observeShippingStarted,
  observeShippingStopped,
} from "./observe-log.ts";
import { outboxBook } from "./outbox-book.ts";
import { noteOnce, type Recorder, record } from "./record.ts";
import { soleCourier } from "./sole-courier.ts";

const NAME = "alerting";

/** Tells people what is wrong, once, and when it is over. */
export const service = defineService({
  name: NAME,
  config: alertingConfig,
  async start({ bus, config, clock, log, every, random, registry, secret, leaseTtlMs }, resources) {
    const conditions = await bus.bucket(BUCKETS.conditions);
    const outbox = await bus.bucket(BUCKETS.outbox);
    const installation = await bus.bucket(BUCKETS.installation);
    const recorder: Recorder = { conditions, outbox, now: clock.now };
    const book = outboxBook();
    const metrics = alertingMetrics(registry, () => book.all().length);

    let rules: readonly AlertRule[] | undefined;
    resources.use(
      keepRunning(log, "alert rules", async (signal) => {
        for await (const change of installation.watch("alerts", signal)) {
          if (change.type === "put") rules = change.value.alerts;
          else if (change.type === "deleted") rules = [];
          else if (change.type === "invalid") log.error({ error: change.error.toBody() }, "alert rules not understood");
        }
      }),
    );
    resources.use(
      keepRunning(log, "outbox", async (signal) => {
        for await (const change of outbox.watch(">", signal)) book.take(change);
      }),
    );

    const courier = resources.use(soleCourier(bus, log, `${NAME}-${uuidv7(clock.now(), random(10))}`, leaseTtlMs / 4));
    resources.use(
      every(config.STILLPOINT_ALERTING_POLL_MS, async (now) => {
        if (!courier.isOurs()) return;
        await deliverDue(
          {
            outbox,
            book,
            rules,
            secret,
            log,
            timeoutMs: config.STILLPOINT_ALERTING_TIMEOUT_MS,
            firstRetryMs: config.STILLPOINT_ALERTING_RETRY_MS,
            tried: (isDelivered) => metrics.deliveries.inc({ outcome: isDelivered ? "delivered" : "failed" }),
          },
          now,
        );
      }),
    );

    const observing = <Definition extends Event>(
      event: Definition,
      observe: (fact: Fact<Definition>) => Observation[],
    ) =>
      on(event, async (fact) => {
        for (const observation of observe(fact)) await record(recorder, observation, fact.sequence);
      });
    resources.use(
      await bus.projectEvents(NAME, [
        observing(runFailed, observeRunFailed),
        observing(pointSealed, observePointSealed),
        observing(proofSealed, observeProofSealed),
        observing(captureAnomaly, observeCaptureAnomaly),
        observing(captureUsual, observeCaptureUsual),
        observing(planRejected, observePlanRejected),
        observing(planAccepted, observePlanAccepted),
        observing(maintenanceFinished, observeMaintenanceFinished),
        observing(baseFailed, observeBaseFailed),
        observing(baseMade, observeBaseMade),
        observing(shippingFailed, observeShippingFailed),
        observing(shippingStarted, observeShippingStarted),
        observing(shippingStopped, observeShippingStopped),
        on(logGapped, (fact) => noteOnce(recorder, observeLogGapped(fact), fact.sequence)),
      ]),
    );
    resources.use(
      await bus.projectDeadLetters(NAME, (letter) => noteOnce(recorder, observeDeadLetter(letter), letter.sequence)),
    );
  },
});
