import type { Fact } from "@stillpoint/bus/events";
import type {
  baseFailed,
  baseMade,
  logGapped,
  shippingFailed,
  shippingStarted,
  shippingStopped,
} from "@stillpoint/contracts/events";
import { type Observation, reasonOf } from "./observation.ts";

/** A server that starts anew is away for two or three tries: nobody need come for that. */
const WARNED_FROM = 3;
/** Every objective in seconds is missed by then. */
const CRITICAL_FROM_MS = 120_000;

export function observeShippingFailed({ body }: Fact<typeof shippingFailed>): Observation[] {
  const { plan, source, error, attempt, againInMs, forMs = 0, at } = body;
  if (attempt < WARNED_FROM) return [];
  const reason = reasonOf(error);
  return [
    {
      type: "trouble",
      severity: forMs < CRITICAL_FROM_MS ? "warning" : "critical",
      key: `ship.${plan}.${source}`,
      plan,
      title: `${plan}: the log of ${source} is not shipped`,
      ...reason,
      detail: `${reason.detail}; ${attempt} tries, the next in ${Math.ceil(againInMs / 1_000)} s`,
      at,
    },
  ];
}

export function observeShippingStarted({ body }: Fact<typeof shippingStarted>): Observation[] {
  const { plan, source, at } = body;
  const title = `${plan}: the log of ${source} is shipped`;
  return [{ type: "recovery", key: `ship.${plan}.${source}`, plan, title, detail: "it goes on from what is held", at }];
}

export function observeShippingStopped({ body }: Fact<typeof shippingStopped>): Observation[] {
  const { plan, source, why, at } = body;
  const title = `${plan}: the log of ${source} is not wanted any more`;
  return [{ type: "recovery", key: `ship.${plan}.${source}`, plan, title, detail: why, at }];
}

/** No event ends what is lost: it is told once. */
export function observeLogGapped({ body: { gap } }: Fact<typeof logGapped>): Observation & { type: "trouble" } {
  const { plan, source, why, after, until, at } = gap;
  const from = after === undefined ? "its beginning" : `${after.stream}/${after.at}`;
  const to = until === undefined ? "what comes next" : `${until.stream}/${until.at}`;
  return {
    type: "trouble",
    severity: "critical",
    key: `gap.${plan}.${source}`,
    plan,
    title: `${plan}: the log of ${source} has a gap`,
    detail: `${why}; between ${from} and ${to} no moment can be restored`,
    hint: "a new base ends it; stillpoint status",
    at,
  };
}

/** The base before goes on to serve, but what is replayed over it grows. */
export function observeBaseFailed({ body }: Fact<typeof baseFailed>): Observation[] {
  const { plan, source, why, error, at } = body;
  const reason = reasonOf(error);
  const title = `${plan}: no new base of ${source} was made`;
  const key = `base.${plan}.${source}`;
  return [
    {
      type: "trouble",
      severity: "warning",
      key,
      plan,
      title,
      ...reason,
      detail: `${reason.detail}; it is due: ${why}`,
      at,
    },
  ];
}

export function observeBaseMade({ body }: Fact<typeof baseMade>): Observation[] {
  const { plan, source, why, at } = body;
  const title = `${plan}: a new base of ${source} was made`;
  return [{ type: "recovery", key: `base.${plan}.${source}`, plan, title, detail: `it was due: ${why}`, at }];
}
