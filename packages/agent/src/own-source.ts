import type { Bucket } from "@stillpoint/bus/bucket";
import type { CommandHandler } from "@stillpoint/bus/take-commands";
import type { captureSource } from "@stillpoint/contracts/commands";
import { StillpointError, toStillpointError } from "@stillpoint/contracts/errors";
import { captureOpened, captureRefused } from "@stillpoint/contracts/events";
import { toInstant } from "@stillpoint/contracts/names";
import { sessionAbort, sessionClose, sessionCut, sessionFinish, sessionReady } from "@stillpoint/contracts/sessions";
import { shipSettings } from "@stillpoint/contracts/ship";
import type { SourceSpec } from "@stillpoint/contracts/source";
import type { BUCKETS } from "@stillpoint/contracts/topology";
import type { Driver, Tools } from "@stillpoint/driver/driver";
import { claimDirectory } from "@stillpoint/driver/sandbox-record";
import type { ServiceContext } from "@stillpoint/service/define-service";
import { flushAsker } from "./ask-flush.ts";
import { driverContext } from "./driver-context.ts";
import { findStanding } from "./find-standing.ts";
import { progressReport } from "./progress-report.ts";
import { backupSender } from "./send-backup.ts";
import { captureSession } from "./session.ts";
import type { AgentSettings } from "./settings.ts";
import type { Slots } from "./slots.ts";

export type AgentShared<Spec extends SourceSpec> = {
  context: ServiceContext<AgentSettings>;
  driver: Driver<Spec>;
  site: string;
  agent: string;
  workDirectory: string;
  tools: Tools;
  buckets: { runs: Bucket<(typeof BUCKETS)["runs"]>; leases: Bucket<(typeof BUCKETS)["leases"]> };
};

const LEASE_RETRY_MS = 1_000;

/**
 * Owns a source for one run, from open to close: answers the session's verbs until the owner closes it, the run ends, or
 * the lease is lost. What was captured counts only once a point is sealed on it, so an end in the middle harms nobody.
 */
export function ownSource<Spec extends SourceSpec>(
  shared: AgentShared<Spec> & { streams: Slots },
): CommandHandler<typeof captureSource> {
  const { context, driver, site, buckets } = shared;
  const { bus, clock, log } = context;

  return async ({ body, signal, delay }) => {
    const { runId, plan, source } = body;
    if (await hasEnded(buckets.runs, runId)) return;
    const session = `${driver.kind}-${context.random(12).toString("hex")}`;
    await using lease = await bus.acquireLease(`capture.${plan}.${source}`, session);
    // Its holder may be a dead session of ours: offered again until the lease has run out.
    if (lease === undefined) return delay(LEASE_RETRY_MS);

    const ended = new AbortController();
    const alive = AbortSignal.any([signal, lease.lost, ended.signal]);
    await using directory = await claimDirectory(shared.workDirectory, "capture");
    const at = () => toInstant(clock.now());
    const report = progressReport(context, { runId, source, kind: driver.kind });

    try {
      report("open");
      const spec = body.spec as Spec; // the subject's kind is the driver's; checked just below
      if (body.spec.kind !== driver.kind) {
        throw new StillpointError("INVALID_REQUEST", {
          what: "A capture came to an agent of another kind",
          where: source,
        });
      }
      const found = await findStanding(shared, body, alive);
      const opening = driverContext(shared, directory.path, alive, { runId, source });
      const resting = found === undefined ? {} : { heldPlace: found.heldPlace, standingBase: found.files };
      await using capture = await driver.open(spec, opening, resting);
      // A driver that makes a base all the same needs no other.
      const standing = capture.description.base === undefined ? found : undefined;
      const send = backupSender({
        runId,
        source,
        fenceToken: lease.fenceToken,
        signal: alive,
        streams: shared.streams,
        usesEarlier: driver.usesEarlier ?? false,
        report,
      });
      // A base serves the next point once its log is held up to where it ended.
      const isShipped = driver.ship !== undefined && shipSettings(spec) !== undefined;
      const baseMade = isShipped ? flushAsker({ bus, leases: buckets.leases, clock }, { plan, source }) : undefined;
      const steps = captureSession(capture, send, { standing, baseMade });
      const end = (reason: string) =>
        ended.abort(new StillpointError("CANCELLED", { what: "The session has ended", where: source, why: reason }));
      const mine = { parameters: { session } };
      await using answering = new AsyncDisposableStack();
      answering.use(
        await bus.answer(sessionReady, mine, async ({ body: asked }) => {
          const state = steps.ready(asked, asked.cutId);
          if (state.state !== "done") return state;
          const { backupId, bytes } = standing ?? {};
          const rests = backupId === undefined || bytes === undefined ? {} : { standing: { backupId, bytes } };
          return { state: state.state, backups: state.result, ...rests };
        }),
      );
      answering.use(
        await bus.answer(sessionCut, mine, async ({ body: asked }) => {
          const mark = await steps.cut(asked);
          report("cut");
          return { mark };
        }),
      );
      answering.use(
        await bus.answer(sessionFinish, mine, async ({ body: asked }) => {
          const state = steps.finish(asked.cutId, asked);
          return state.state === "done" ? { state: state.state, ...state.result } : state;
        }),
      );
      answering.use(
        await bus.answer(sessionAbort, mine, async ({ body: asked }) => {
          end(asked.reason);
          return { ended: true as const };
        }),
      );
      answering.use(
        await bus.answer(sessionClose, mine, async () => {
          end("closed");
          return { ended: true as const };
        }),
      );

      const { version, runtime, sizeBytes, hasLog, base, finish, notes } = capture.description;
      await bus.publishEvent(
        captureOpened,
        { runId, source },
        {
          runId,
          plan,
          source,
          at: at(),
          kind: driver.kind,
          site,
          session,
          fenceToken: lease.fenceToken,
          version,
          runtime,
          hasLog,
          finish,
          notes,
          addresses: driver.addresses(spec),
          ...(base === undefined ? {} : { base }),
          ...(sizeBytes === undefined ? {} : { sizeBytes }),
          ...(standing === undefined ? {} : { baseServes: standing.backupId }),
        },
      );
      const how = await untilOver(buckets.runs, runId, alive, () => steps.isBehind);
      end("the run is over"); // before the capture is let go: what still streams from it ends first
      if (how === "behind") return delay(LEASE_RETRY_MS);
    } catch (thrown) {
      if (!alive.aborted) {
        const error = toStillpointError(thrown, "Cannot capture the source").toBody();
        log.warn({ runId, source, error }, "source refused");
        await bus.publishEvent(
          captureRefused,
          { runId, source },
          { runId, plan, source, at: at(), fenceToken: lease.fenceToken, error },
        );
        return;
      }
    } finally {
      ended.abort(new StillpointError("CANCELLED", { what: "The session has ended", where: source }));
    }
    // Taken away in the middle: another agent, or this one, opens a new session while the run still wants it.
    if (signal.aborted) throw signal.reason;
    if (!(await hasEnded(buckets.runs, runId)) && lease.lost.aborted) return delay(LEASE_RETRY_MS);
  };
}

async function hasEnded(runs: Bucket<(typeof BUCKETS)["runs"]>, runId: string): Promise<boolean> {
  const found = await runs.get(runId);
  return found === undefined || found.value.state === "sealed" || found.value.state === "failed";
}

/**
 * Resolves when the session has been ended or the run's state says that it is over; `behind` when a cut is void because the
 * log was not shipped up to its mark.
 */
async function untilOver(
  runs: Bucket<(typeof BUCKETS)["runs"]>,
  runId: string,
  alive: AbortSignal,
  isBehind: () => boolean,
): Promise<"over" | "behind"> {
  for await (const change of runs.watch(runId, alive)) {
    if (change.type === "deleted") return "over";
    if (change.type !== "put") continue;
    const { state } = change.value;
    if (state === "sealed" || state === "failed") return "over";
    if (state === "opened" && isBehind()) return "behind";
  }
  return "over";
}
