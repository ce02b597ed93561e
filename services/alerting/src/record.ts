import type { Bucket } from "@stillpoint/bus/bucket";
import type { Notice } from "@stillpoint/contracts/alerts";
import { toInstant } from "@stillpoint/contracts/names";
import type { BUCKETS } from "@stillpoint/contracts/topology";
import type { Observation } from "./observation.ts";
import { transition } from "./transition.ts";

export type Recorder = {
  conditions: Bucket<(typeof BUCKETS)["conditions"]>;
  outbox: Bucket<(typeof BUCKETS)["outbox"]>;
  now: () => number;
};

/**
 * Applies an observation to its condition. The notice goes into the outbox before the condition is written: dying in
 * between, the event comes again, finds the condition as it was, and writes the same notice under the same key.
 */
export async function record(recorder: Recorder, observation: Observation, sequence: number): Promise<void> {
  const { conditions } = recorder;
  const { key } = observation;
  for (;;) {
    const before = await conditions.get(key);
    const after = transition(before?.value, observation, sequence);
    if (after === undefined) return;
    const { condition, tell } = after;
    if (tell !== undefined) await write(recorder, observation, condition.severity, tell, sequence);
    const written =
      before === undefined
        ? await conditions.create(key, condition)
        : await conditions.update(key, condition, before.revision);
    if (written.written) return;
  }
}

/** For what happened once and has no end. */
export async function noteOnce(
  recorder: Recorder,
  observation: Observation & { type: "trouble" },
  sequence: number,
): Promise<void> {
  await write(recorder, observation, observation.severity, "noted", sequence);
}

async function write(
  { outbox, now }: Recorder,
  { key, title, detail, hint, plan, at }: Observation,
  severity: Notice["severity"],
  kind: Notice["kind"],
  sequence: number,
): Promise<void> {
  const notice = {
    condition: key,
    kind,
    severity,
    title,
    detail,
    ...(hint === undefined ? {} : { hint }),
    ...(plan === undefined ? {} : { plan }),
    at,
    sequence,
    writtenAt: toInstant(now()),
  };
  // There already: it was written before a crash, and may be on its way.
  await outbox.create(`${key}.${sequence}`, notice);
}
