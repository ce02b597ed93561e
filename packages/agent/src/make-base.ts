import type { CommandHandler } from "@stillpoint/bus/take-commands";
import type { baseSource } from "@stillpoint/contracts/commands";
import { toStillpointError } from "@stillpoint/contracts/errors";
import { baseFailed, baseMade } from "@stillpoint/contracts/events";
import { toInstant } from "@stillpoint/contracts/names";
import type { SourceSpec } from "@stillpoint/contracts/source";
import { vaultLog, vaultTicket } from "@stillpoint/contracts/vault";
import { claimDirectory } from "@stillpoint/driver/sandbox-record";
import { flushAsker } from "./ask-flush.ts";
import { driverContext } from "./driver-context.ts";
import type { AgentShared } from "./own-source.ts";
import { progressReport } from "./progress-report.ts";
import { backupSender } from "./send-backup.ts";
import type { PlansInForce } from "./shipping/plans-in-force.ts";
import { wantedOf } from "./shipping/wanted.ts";
import type { Slots } from "./slots.ts";

const LEASE_RETRY_MS = 1_000;
const ASKED_WITHIN_MS = 10_000;

/**
 * Makes a base of a source beside its points, which rest on the one before until this has ended. Offered again after a crash; what
 * was made by then is not made twice. A failure is told: who asked for the base asks again for as long as one is due.
 */
export function makeBase<Spec extends SourceSpec>(
  shared: AgentShared<Spec> & { streams: Slots; plans: PlansInForce },
): CommandHandler<typeof baseSource> {
  const { context, driver, site, plans } = shared;
  const { bus, clock, log } = context;
  const { kind } = driver;

  return async ({ body, signal, delay }) => {
    const { baseId, plan, source, dueAt, why } = body;
    const about = { plan, source };
    await using lease = await bus.acquireLease(
      `base.${plan}.${source}`,
      `${kind}-${context.random(12).toString("hex")}`,
    );
    if (lease === undefined) return delay(LEASE_RETRY_MS);
    await plans.known;
    const wanted = wantedOf(plans.get(plan), { source, kind, site });
    if (!wanted.isWanted) return;
    const alive = AbortSignal.any([signal, lease.lost]);
    const told = { ...about, kind, baseId, why };
    const report = progressReport(context, { runId: baseId, source, kind });
    try {
      const { newestBaseAt } = await bus.request(vaultLog, {}, about, { timeoutMs: ASKED_WITHIN_MS, signal: alive });
      if (newestBaseAt !== undefined && newestBaseAt >= dueAt) return;
      await using directory = await claimDirectory(shared.workDirectory, "base");
      const spec = wanted.spec as Spec; // the kind is the driver's: else it would not be wanted here
      await using capture = await driver.open(spec, driverContext(shared, directory.path, alive, { ...about, baseId }));
      const type = capture.description.base;
      if (type === undefined) return;
      const { fenceToken } = lease;
      const claims = { purpose: "capture", runId: baseId, ...about, kind, fenceToken, beside: true } as const;
      const vault = await bus.request(vaultTicket, {}, claims, { timeoutMs: ASKED_WITHIN_MS, signal: alive });
      const send = backupSender({ runId: baseId, source, fenceToken, signal: alive, streams: shared.streams, report });
      const figures = await send("base", type, vault, (tree) => capture.base(tree), { doing: "base", bytes: 0 });
      // It serves once its log is held up to where it ended; who cannot be asked flushes when it is due.
      await flushAsker({ bus, leases: shared.buckets.leases, clock }, about)();
      await bus.publishEvent(baseMade, about, { ...told, figures, at: toInstant(clock.now()) }, { key: baseId });
    } catch (thrown) {
      if (signal.aborted) throw signal.reason;
      if (lease.lost.aborted) return delay(LEASE_RETRY_MS);
      const error = toStillpointError(thrown, "Cannot make a base of the source").toBody();
      log.warn({ ...told, error }, "no base was made");
      await bus.publishEvent(baseFailed, about, { ...told, error, at: toInstant(clock.now()) });
    }
  };
}
