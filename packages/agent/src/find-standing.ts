import { setTimeout as wait } from "node:timers/promises";
import type { captureSource } from "@stillpoint/contracts/commands";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { LogPosition } from "@stillpoint/contracts/log";
import { shipSettings } from "@stillpoint/contracts/ship";
import type { SourceSpec } from "@stillpoint/contracts/source";
import { vaultLog, vaultTicket } from "@stillpoint/contracts/vault";
import type { z } from "zod";
import { type FlushAsked, flushAsker } from "./ask-flush.ts";
import { earlierBy } from "./earlier.ts";
import type { AgentShared } from "./own-source.ts";
import type { StandingBase } from "./session.ts";
import { vaultClient } from "./vault-client.ts";

type Shared<Spec extends SourceSpec> = {
  context: Pick<AgentShared<Spec>["context"], "bus" | "clock" | "log">;
  driver: Pick<AgentShared<Spec>["driver"], "ship">;
  buckets: AgentShared<Spec>["buckets"];
};
type Asked = Pick<z.output<typeof captureSource.body>, "runId" | "plan" | "source" | "spec" | "baseSince">;

const ASKED_WITHIN_MS = 10_000;
const PATIENCE_MS = 30_000;
/** What is asked to be flushed is there soon, or late. */
const LOOK_FIRST_MS = 100;
const LOOK_LONGER = 1.5;
const LOOK_MOST_MS = 5_000;
const LOOK_FOR_PLACE_MOST_MS = 500;
/** A place that is told after the capture was opened; where none comes, a base of its own is no worse than waiting. */
const HELD_WITHIN_MS = 15_000;
/** There may be much to flush. */
const FLUSHED_WITHIN_MS = 30_000;
/** From one shipper that is stopped to the next. */
const HAND_OVER_MS = 5_000;
/** A vault or a shipper that starts anew is back sooner, also one whose lease has to run out first. */
const STANDSTILL_MS = 60_000;

/** Pure: whether a place that serves is still to be waited for. What is asked for does not wait for its flush. */
export function mayBeHeld(asked: FlushAsked, { waitedMs, flushMs }: { waitedMs: number; flushMs: number }): boolean {
  if (asked.by === "nobody") return asked.forMs <= HAND_OVER_MS;
  return waitedMs <= (asked.by === "shipper" ? FLUSHED_WITHIN_MS : HELD_WITHIN_MS + 2 * flushMs);
}

/** Pure: whether a log that stands still may go on before a base of one's own is better. */
export function mayGoOn(asked: FlushAsked, { standsMs, flushMs }: { standsMs: number; flushMs: number }): boolean {
  return standsMs <= STANDSTILL_MS + (asked.by === "unknown" ? 2 * flushMs : 0);
}

/**
 * The base that a source's shipped log is laid over, if it is shipped now and one serves. Undefined: the capture makes its own
 * base and carries the log itself, as it does once a cut of the run was void because the log did not come.
 */
export async function findStanding<Spec extends SourceSpec>(
  { context, driver, buckets }: Shared<Spec>,
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
  const ask = (how: { waits: boolean; reach?: { base: string; place: LogPosition } }) =>
    bus.request(vaultLog, {}, { plan, source, ...how }, patient);

  const { baseServes, replay } = await ask({ waits: false });
  if (!baseServes || replay === undefined || !replay.mayBeSealed) return undefined;
  if (baseSince !== undefined && replay.storedAt < baseSince) return undefined;
  const { base, bytes } = replay;
  const { flushMs } = settings;
  return {
    backupId: base,
    bytes,
    files: {
      async *read(path) {
        const claims = { purpose: "restore" as const, backups: [base] };
        const { vaultUrl, ticket } = await bus.request(vaultTicket, {}, claims, patient);
        yield* earlierBy(vaultClient(vaultUrl, ticket, signal), [base]).read(path);
      },
    },
    async heldPlace(serves) {
      const since = clock.monotonicMs();
      const askFlush = flushAsker({ bus, leases: buckets.leases, clock }, { plan, source });
      for (let pauseMs = LOOK_FIRST_MS; ; pauseMs = Math.min(pauseMs * LOOK_LONGER, LOOK_FOR_PLACE_MOST_MS)) {
        const { held } = await ask({ waits: true });
        if (held !== undefined && (await serves(held))) {
          const { reaches } = await ask({ waits: true, reach: { base, place: held } });
          if (reaches !== undefined) return held;
        }
        const asked = await askFlush();
        if (!mayBeHeld(asked, { waitedMs: clock.monotonicMs() - since, flushMs })) {
          log.info({ runId, source, held, flush: asked.by }, "no place of the log serves in time");
          return undefined;
        }
        await wait(pauseMs, undefined, { signal });
      }
    },
    async reached(place, progress) {
      let heldAt: string | undefined;
      let movedMs = clock.monotonicMs();
      const askFlush = flushAsker({ bus, leases: buckets.leases, clock }, { plan, source });
      for (let pauseMs = LOOK_FIRST_MS; ; pauseMs = Math.min(pauseMs * LOOK_LONGER, LOOK_MOST_MS)) {
        const { reaches, held } = await ask({ waits: true, reach: { base, place } });
        if (reaches !== undefined) return reaches;
        const now = held === undefined ? undefined : `${held.stream} ${held.at}`;
        if (now !== heldAt) movedMs = clock.monotonicMs();
        heldAt = now;
        progress.doing = `log at ${now ?? "none"}`;
        const standsMs = clock.monotonicMs() - movedMs;
        if (!mayGoOn(await askFlush(), { standsMs, flushMs })) {
          log.warn({ runId, source, held, place }, "the log is not shipped up to the mark");
          throw new StillpointError("SOURCE_LOST", {
            what: "The source's log was not shipped up to the mark",
            where: source,
            why: `it stands at ${now ?? "nothing"} for ${Math.round(standsMs / 1000)} s, and the mark is at ${place.stream} ${place.at}`,
            hint: "the next try makes a base of its own and carries the log itself; see `stillpoint log`",
          });
        }
        await wait(pauseMs, undefined, { signal });
      }
    },
  };
}
