import { StillpointError } from "@stillpoint/contracts/errors";
import {
  requestBackup,
  requestCancel,
  requestValidate,
  submitBackup,
  submitCancel,
  submitValidate,
} from "@stillpoint/contracts/people";
import { defineService } from "@stillpoint/service/define-service";
import { createAsker } from "./ask.ts";
import { gatewayConfig } from "./config.ts";
import { planOwner } from "./plan-owner.ts";
import { openPlanBuckets } from "./publish-plans.ts";
import { createApp } from "./rest/app.ts";

const QUEUE = { queue: "gateway" };
/** What was submitted waits for the run before it. */
const OCCUPIED_RETRY_MS = 2_000;
const TAKE = { concurrency: 4, maxAttempts: 20 };

/** The door for people: plans, requests by NATS, REST. */
export const service = defineService({
  name: "gateway",
  config: gatewayConfig,
  async start(context, resources) {
    const { bus, config, clock, log } = context;
    const buckets = await openPlanBuckets(bus);
    const asker = await createAsker({ bus, buckets, now: clock.now, random: context.random });
    const path = config.STILLPOINT_PLAN_FILE;
    const owner = path === undefined ? undefined : planOwner({ bus, buckets, path, now: clock.now, log });
    if (owner !== undefined) {
      await owner.look();
      resources.use(context.every(config.STILLPOINT_PLAN_POLL_MS, () => owner.look()));
    }

    const { STILLPOINT_GATEWAY_HOST: host, STILLPOINT_GATEWAY_PORT: port } = config;
    const app = await createApp({ bus, buckets, asker, planFile: () => owner?.state(), now: clock.now }, { host, log });
    resources.defer(() => app.close());
    try {
      const url = await app.listen({ host, port });
      log.info({ url: `${url}/api/v1`, docs: `${url}/api/docs` }, "REST listens");
    } catch (error) {
      throw new StillpointError("CONFIG_INVALID", {
        what: "Cannot open the REST port",
        where: `${host}:${port}`,
        why: error instanceof Error ? error.message : String(error),
        hint: "set STILLPOINT_GATEWAY_PORT to a free port",
        cause: error,
      });
    }

    resources.use(await bus.answer(requestBackup, QUEUE, ({ body }) => asker.backup(body.plan)));
    resources.use(await bus.answer(requestValidate, QUEUE, ({ body }) => asker.validate(body.pointId)));
    resources.use(await bus.answer(requestCancel, QUEUE, ({ body }) => asker.cancel(body.runId)));

    // A submitted message that comes twice is one request: its place in the stream is its key.
    resources.use(
      await bus.takeCommands(submitBackup, TAKE, ({ body, sequence, delay }) =>
        unlessOccupied(asker.backup(body.plan, `submit ${sequence}`), delay),
      ),
    );
    resources.use(
      await bus.takeCommands(submitValidate, TAKE, ({ body, sequence, delay }) =>
        unlessOccupied(asker.validate(body.pointId, `submit ${sequence}`), delay),
      ),
    );
    resources.use(
      await bus.takeCommands(submitCancel, TAKE, async ({ body }) => {
        await asker.cancel(body.runId);
      }),
    );
  },
});

async function unlessOccupied<Delay>(
  asked: Promise<unknown>,
  delay: (ms: number) => Delay,
): Promise<Delay | undefined> {
  try {
    await asked;
    return undefined;
  } catch (error) {
    if (error instanceof StillpointError && error.code === "ALREADY_RUNNING") return delay(OCCUPIED_RETRY_MS);
    throw error;
  }
}
