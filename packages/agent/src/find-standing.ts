import { setTimeout as wait } from "node:timers/promises";
import type { captureSource } from "@stillpoint/contracts/commands";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { LogPosition } from "@stillpoint/contracts/log";
import { shipSettings } from "@stillpoint/contracts/ship";
import type { SourceSpec } from "@stillpoint/contracts/source";
import { vaultLog } from "@stillpoint/contracts/vault";
import type { z } from "zod";
import type { AgentShared } from "./own-source.ts";
import type { StandingBase } from "./session.ts";

type Asked = Pick<z.output<typeof captureSource.body>, "runId" | "plan" | "source" | "spec" | "baseSince">;

const ASKED_WITHIN_MS = 10_000;
const PATIENCE_MS = 30_000;
const LOOK_MOST_MS = 5_000;
/** A place that is told after the capture was opened; where none comes, a base of its own is no worse than waiting. */
const HELD_WITHIN_MS = 15_000;
/** A vault or a shipper that starts anew is back sooner. */
const STANDSTILL_MS = 60_000;

/**
 * The base that a source's shipped log is laid over, if it is shipped now and one serves. Undefined: the capture makes its own
 * base and carries the log itself, as it does once a cut of the run was void because the log did not come.
 */
export async function findStanding<Spec extends SourceSpec>(
  { context, driver, buckets }: Pick<AgentShared<Spec>, "context" | "driver" | "buckets">,
  { runId, plan, source, spec, baseSince }: Asked,
  signal: AbortSignal,
): Promise<StandingBase | undefined> {
  const { bus, clock, log } = context;
  const settings = shipSettings(spec);
  if (driver.ship === undefined || settings === undefined) return undefined;
  const run = await buckets.runs.get(runId);
  if (run !== undefined && run.value.voidedCuts > 0) return undefined;
  if ((await buckets.leases.get(`ship.${plan}.${source}`)) === undefined) return undefined;
  // A vault that starts anew is back sooner than the base would be made.
  const patient = { timeoutMs: ASKED_WITHIN_MS, patienceMs: PATIENCE_MS, signal };
  const ask = (reach?: { base: string; place: LogPosition }) =>
    bus.request(vaultLog, {}, { plan, source, ...(reach === undefined ? {} : { reach }) }, patient);

  const { baseServes, replay } = await ask();
  if (!baseServes || replay === undefined || !replay.mayBeSealed) return undefined;
  if (baseSince !== undefined && replay.storedAt < baseSince) return undefined;
  const { base, bytes } = replay;
  return {
    backupId: base,
    bytes,
    async heldPlace(serves) {
      const since = clock.monotonicMs();
      for (;;) {
        const { held } = await ask();
        if (held !== undefined && (await serves(held))) {
          const { reaches } = await ask({ base, place: held });
          if (reaches !== undefined) return held;
        }
        if (clock.monotonicMs() - since > HELD_WITHIN_MS + 2 * settings.flushMs) return undefined;
        await wait(Math.min(settings.flushMs / 4, LOOK_MOST_MS / 10), undefined, { signal });
      }
    },
    async reached(place, progress) {
      let heldAt: string | undefined;
      let movedMs = clock.monotonicMs();
      for (
        let pauseMs = Math.min(settings.flushMs, LOOK_MOST_MS) / 4;
        ;
        pauseMs = Math.min(pauseMs * 1.5, LOOK_MOST_MS)
      ) {
        const { reaches, held } = await ask({ base, place });
        if (reaches !== undefined) return reaches;
        const now = held === undefined ? undefined : `${held.stream} ${held.at}`;
        if (now !== heldAt) movedMs = clock.monotonicMs();
        heldAt = now;
        progress.doing = `log at ${now ?? "none"}`;
        const standstillMs = clock.monotonicMs() - movedMs;
        if (standstillMs > STANDSTILL_MS + 2 * settings.flushMs) {
          log.warn({ runId, source, held, place }, "the log is not shipped up to the mark");
          throw new StillpointError("SOURCE_LOST", {
            what: "The source's log was not shipped up to the mark",
            where: source,
            why: `it stands at ${now ?? "nothing"} for ${Math.round(standstillMs / 1000)} s, and the mark is at ${place.stream} ${place.at}`,
            hint: "the next try makes a base of its own and carries the log itself; see `stillpoint log`",
          });
        }
        await wait(pauseMs, undefined, { signal });
      }
    },
  };
}
