import { setTimeout as delay } from "node:timers/promises";
import type { Bus } from "@stillpoint/bus/bus";
import type { Lease } from "@stillpoint/bus/lease";
import type { Log } from "@stillpoint/bus/log";
import type { Clock } from "@stillpoint/contracts/clock";
import { toStillpointError } from "@stillpoint/contracts/errors";
import type { OpenTarget } from "@stillpoint/object-store/open-target";
import type { Lag } from "@stillpoint/repository/replicas/survey";
import type { Repository } from "@stillpoint/repository/repository";
import type { ReplicaMetrics } from "./replica-metrics.ts";

/** A survey of everything, packs too, is for what was lost or swept; in between the index says what is new. */
const FULL_EVERY_MS = 3_600_000;

export type FollowContext = {
  repository: Repository;
  primary: OpenTarget;
  replicas: readonly OpenTarget[];
  bus: Bus;
  clock: Clock;
  log: Log;
  metrics: ReplicaMetrics;
  owner: string;
  everyMs: number;
  graceMs: number;
};

/** What the last pass left; `failing` since it, if another was tried. */
export type ReplicaState = { lag: Lag; atMs: number; failing: boolean };

export type Follower = {
  state: () => ReplicaState | undefined;
  /** Resolves when the signal fires. `woken` gives a promise that ends a pause early. */
  run: (woken: () => Promise<void>, signal: AbortSignal) => Promise<void>;
};

/** Keeps one replica close behind the primary. Of all vaults one does it, each replica for itself. */
export function followReplica(context: FollowContext, target: OpenTarget): Follower {
  const { repository, primary, replicas, bus, clock, log, metrics } = context;
  const label = { target: target.name };
  const others = replicas.filter((each) => each !== target).map(({ store }) => store);
  let state: ReplicaState | undefined;
  let lastFullMs: number | undefined;

  /** Objects of which one side has another length: whichever is damaged is repaired from the other. */
  async function mend(names: readonly string[], signal: AbortSignal): Promise<void> {
    for (const name of names)
      for (const [hurt, sources] of [
        [primary, [target.store, ...others]],
        [target, [primary.store, ...others]],
      ] as const) {
        const { outcome, why } = await repository.replicas.repair(hurt.store, sources, name, signal);
        if (outcome === "sound") continue;
        if (outcome === "repaired") metrics.repaired.inc({ target: hurt.name });
        log.warn({ target: hurt.name, object: name, outcome, why }, "an object of a target was damaged");
      }
  }

  async function pass(signal: AbortSignal): Promise<void> {
    const isFull = lastFullMs === undefined || clock.monotonicMs() - lastFullMs >= FULL_EVERY_MS;
    const report = await repository.replicas.replicate(target.store, { others, withoutPacks: !isFull, signal });
    const { lag, notCopied, copiedBytes, copiedObjects, before } = report;
    state = { lag, atMs: clock.monotonicMs(), failing: false };
    metrics.copiedBytes.inc(label, copiedBytes);
    metrics.lagBytes.set(label, lag.bytes);
    metrics.lagObjects.set(label, lag.objects);
    metrics.notCopied.set(label, notCopied.length);
    metrics.lastPass.set(label, clock.now() / 1000);
    if (copiedObjects > 0) log.debug({ ...label, copiedObjects, copiedBytes }, "replicated");
    const [first] = notCopied;
    if (first !== undefined)
      log.warn({ ...label, ...first, objects: notCopied.length }, "objects cannot be replicated");
    if (!isFull) return;
    await mend(
      before.differing.map(({ name }) => name),
      signal,
    );
    const swept = await repository.replicas.sweep(target.store, { graceMs: context.graceMs, signal });
    metrics.sweptObjects.inc(label, swept.deleted.objects);
    metrics.retained.set(label, swept.retained.length);
    if (swept.deleted.objects > 0) log.info({ ...label, ...swept.deleted }, "swept what the primary has deleted");
    lastFullMs = clock.monotonicMs();
  }

  async function pause(woken: Promise<void>, signal: AbortSignal): Promise<void> {
    const early = new AbortController();
    woken.then(() => early.abort(), early.abort);
    await delay(context.everyMs, undefined, { signal: AbortSignal.any([signal, early.signal]) }).catch(() => {
      // Woken, or stopping: the loop sees which.
    });
  }

  return {
    state: () => state,
    async run(woken, signal) {
      let lease: Lease | undefined;
      try {
        while (!signal.aborted) {
          const next = woken();
          if (lease === undefined || lease.lost.aborted)
            lease = await bus.acquireLease(`replicate.${target.name}`, context.owner);
          if (lease === undefined) state = undefined;
          else
            try {
              await pass(AbortSignal.any([signal, lease.lost]));
            } catch (error) {
              if (signal.aborted || lease.lost.aborted) continue;
              const known = toStillpointError(error, `Cannot replicate to ${target.name}`);
              metrics.failures.inc(label);
              state = {
                lag: state?.lag ?? { objects: 0, bytes: 0, seconds: 0 },
                atMs: state?.atMs ?? clock.monotonicMs(),
                failing: true,
              };
              log.error({ ...label, error: known.toBody() }, "replication failed; it goes on by itself");
            }
          await pause(next, signal);
        }
      } finally {
        await lease?.release();
      }
    },
  };
}
