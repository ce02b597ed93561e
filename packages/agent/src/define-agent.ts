import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { baseSource, captureSource, rehearseSource, shipSource as shipCommand } from "@stillpoint/contracts/commands";
import { toInstant, uuidv7 } from "@stillpoint/contracts/names";
import { examineSource } from "@stillpoint/contracts/sessions";
import type { SourceSpec } from "@stillpoint/contracts/source";
import { BUCKETS } from "@stillpoint/contracts/topology";
import type { Driver } from "@stillpoint/driver/driver";
import { reapSandboxes } from "@stillpoint/driver/sandbox-record";
import { defineService } from "@stillpoint/service/define-service";
import { examine } from "./examine-source.ts";
import { makeBase } from "./make-base.ts";
import { ownSource } from "./own-source.ts";
import { agentSettings, toolsOf } from "./settings.ts";
import { followPlans } from "./shipping/plans-in-force.ts";
import { shipSource } from "./shipping/ship-source.ts";
import { slots } from "./slots.ts";
import { takeRehearsal } from "./take-rehearsal.ts";
import { watchSources } from "./watching/watch-sources.ts";

/** Captures at once: an open session costs memory only, and a run needs all its sessions open together. */
const SESSIONS_AT_ONCE = 2_000;

/** The service for one kind of store: its knowledge is the driver's, everything else is the same for all. */
export function defineAgent<Spec extends SourceSpec>(driver: Driver<Spec>) {
  const { kind } = driver;
  return defineService({
    name: `agent-${kind}`,
    config: agentSettings,
    async start(context, resources) {
      const { bus, config } = context;
      const site = config.STILLPOINT_SITE;
      const agent = `agent-${kind}-${uuidv7(context.clock.now(), context.random(10))}`;
      const workDirectory = join(config.STILLPOINT_WORK_DIRECTORY, `agent-${kind}`);
      await mkdir(workDirectory, { recursive: true });
      await chmod(workDirectory, 0o711); // servers of rehearsals run as an account of their own, and pass through
      await reapSandboxes(workDirectory);
      const tools = toolsOf(config);
      const shared = {
        context,
        driver,
        site,
        agent,
        workDirectory,
        tools,
        buckets: {
          runs: await bus.bucket(BUCKETS.runs),
          leases: await bus.bucket(BUCKETS.leases),
        },
      };

      const runtimes = config.STILLPOINT_ROLES.includes("rehearsal")
        ? await driver.runtimes(tools, context.signal)
        : [];
      for (const runtime of runtimes) {
        resources.use(
          await bus.takeCommands(
            rehearseSource,
            {
              parameters: { kind, site, runtime },
              concurrency: config.STILLPOINT_MAX_REHEARSALS,
              ackWaitMs: context.ackWaitMs,
            },
            takeRehearsal(shared),
          ),
        );
      }
      const streams = slots(config.STILLPOINT_MAX_STREAMS);
      if (config.STILLPOINT_ROLES.includes("capture")) {
        resources.use(
          await bus.takeCommands(
            captureSource,
            { parameters: { kind, site }, concurrency: SESSIONS_AT_ONCE, ackWaitMs: context.ackWaitMs },
            ownSource({ ...shared, streams }),
          ),
        );
      }
      if (config.STILLPOINT_ROLES.includes("capture") && driver.ship !== undefined) {
        const plans = resources.use(followPlans(await bus.bucket(BUCKETS.plans), context.log));
        resources.use(
          await bus.takeCommands(
            baseSource,
            { parameters: { kind, site }, concurrency: SESSIONS_AT_ONCE, ackWaitMs: context.ackWaitMs },
            makeBase({ ...shared, streams, plans }),
          ),
        );
        resources.use(
          await bus.takeCommands(
            shipCommand,
            { parameters: { kind, site }, concurrency: SESSIONS_AT_ONCE, ackWaitMs: context.ackWaitMs },
            shipSource({ ...shared, plans }),
          ),
        );
      }
      const { watch } = driver;
      if (config.STILLPOINT_ROLES.includes("capture") && watch !== undefined) {
        const plans = await bus.bucket(BUCKETS.plans);
        resources.use(watchSources({ ...shared, driver: { kind, watch: watch.bind(driver) }, plans }));
      }
      if (config.STILLPOINT_ROLES.includes("capture")) {
        const queue = { parameters: { kind, site }, queue: `examine-${kind}-${site}` };
        resources.use(await bus.answer(examineSource, queue, ({ body }) => examine(shared, body.source, body.spec)));
      }
      const agents = await bus.bucket(BUCKETS.agents);
      const since = toInstant(context.clock.now());
      const announce = () =>
        agents.put(`${kind}.${site}.${agent}`, { agent, kind, site, roles: config.STILLPOINT_ROLES, runtimes, since });
      await announce();
      resources.use(context.every(context.leaseTtlMs / 3, announce));
      resources.defer(() => agents.delete(`${kind}.${site}.${agent}`).then(() => undefined));
    },
  });
}
