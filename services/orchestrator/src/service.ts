import type { Bucket } from "@stillpoint/bus/bucket";
import { runBackup } from "@stillpoint/contracts/commands";
import { StillpointError } from "@stillpoint/contracts/errors";
import { toInstant, uuidv7 } from "@stillpoint/contracts/names";
import { BUCKETS } from "@stillpoint/contracts/topology";
import { defineService, type ServiceContext } from "@stillpoint/service/define-service";
import type { z } from "zod";
import { type OrchestratorConfig, orchestratorConfig } from "./config.ts";
import { driveRun } from "./drive-run.ts";
import { failRun } from "./fail-run.ts";
import { trackSessions } from "./open-sessions.ts";
import { type HeldState, type RunStore, runStore } from "./run-store.ts";
import { sourceStore } from "./source-store.ts";

type RunCommand = z.output<typeof runBackup.body>;

const LEASE_RETRY_MS = 1_000;

/** Runs: their state is in KV, so that any replica can go on where another one stopped. */
export const service = defineService({
  name: "orchestrator",
  config: orchestratorConfig,
  async start(context, resources) {
    const { bus, config } = context;
    const newId = () => uuidv7(context.clock.now(), context.random(10));
    const owner = `orchestrator-${newId()}`;
    const buckets = {
      runs: await bus.bucket(BUCKETS.runs),
      sources: await bus.bucket(BUCKETS.runSources),
      leases: await bus.bucket(BUCKETS.leases),
      revisions: await bus.bucket(BUCKETS.revisions),
      cancellations: await bus.bucket(BUCKETS.cancellations),
    };
    const store = runStore(buckets.runs, newId);

    resources.use(
      await bus.takeCommands(
        runBackup,
        { concurrency: config.STILLPOINT_RUNS_AT_ONCE, ackWaitMs: context.ackWaitMs },
        async ({ body, signal, delay }) => {
          await using lease = await bus.acquireLease(`run.${body.runId}`, owner);
          // Another process drives it: offered again until that one has ended it, or is gone.
          if (lease === undefined) return delay(LEASE_RETRY_MS);
          const ended = new AbortController();
          try {
            const held = await takeOver(store, context, body, owner, newId);
            const runSignal = AbortSignal.any([signal, lease.lost, ended.signal]);
            watchCancellation(buckets.cancellations, body.runId, ended, runSignal, context);
            const ports = { bus, store, held, now: context.clock.now };
            const { plan: name, revision } = held.state;
            const plan = (await buckets.revisions.get(`${name}.${revision}`))?.value.definition;
            if (plan === undefined) return await failRun(ports, revisionUnknown(name, revision));
            await driveRun({
              ...ports,
              config,
              plan,
              sources: sourceStore(buckets.sources, body.runId),
              sessions: trackSessions(bus, buckets.leases, held.state, runSignal),
              monotonicMs: context.clock.monotonicMs,
              newId,
              secret: context.secret,
              signal: runSignal,
              log: (message, fields) => context.log.info({ runId: body.runId, plan: name, ...fields }, message),
            });
          } catch (error) {
            // Whoever took over drives it on; this process has nothing more to say.
            if (error instanceof StillpointError && error.code === "LEASE_LOST") return delay(LEASE_RETRY_MS);
            throw error;
          } finally {
            ended.abort(new StillpointError("LEASE_LOST", { what: "The run has ended", where: body.runId }));
          }
        },
      ),
    );
  },
});

type Context = ServiceContext<OrchestratorConfig>;

/** The run's state with this process as its owner: opened, or taken over from whoever drove it before. */
async function takeOver(
  store: RunStore,
  context: Context,
  command: RunCommand,
  owner: string,
  newId: () => string,
): Promise<HeldState> {
  const found = await store.read(command.runId);
  if (found === undefined) {
    const { runId, plan, revision, entries, requestedBy } = command;
    return store.open({
      state: "opened",
      runId,
      plan,
      revision,
      entries,
      requestedBy,
      owner,
      pointId: newId(),
      startedAt: toInstant(context.clock.now()),
      attempts: 1,
      voidedCuts: 0,
      eventsAfter: await context.bus.lastEventSequence(),
    });
  }
  const { changeId: _, ...state } = found.state;
  return store.change(found, { ...state, owner, attempts: state.attempts + 1 });
}

function revisionUnknown(plan: string, revision: string): StillpointError {
  return new StillpointError("PLAN_UNKNOWN", {
    what: "Cannot start the run",
    where: `${plan}, revision ${revision}`,
    why: "no such revision was accepted",
    hint: "see `stillpoint status` for the plans in force",
  });
}

/** A person's cancellation ends the run as failed; it may have been asked for before this process took the run. */
function watchCancellation(
  cancellations: Bucket<(typeof BUCKETS)["cancellations"]>,
  runId: string,
  ended: AbortController,
  signal: AbortSignal,
  context: Context,
): void {
  const watching = async () => {
    for await (const change of cancellations.watch(runId, signal)) {
      if (change.type !== "put") continue;
      ended.abort(
        new StillpointError("CANCELLED", { what: "The run was cancelled", where: runId, why: change.value.reason }),
      );
      return;
    }
  };
  watching().catch((error: unknown) => {
    if (!signal.aborted) context.log.error({ runId, why: String(error) }, "cancellation is not watched any more");
  });
}
