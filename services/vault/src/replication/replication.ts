import type { Log } from "@stillpoint/bus/log";
import type { OpenTarget } from "@stillpoint/object-store/open-target";
import type { Roles } from "@stillpoint/repository/replicas/find-primary";
import type { Fallback } from "@stillpoint/repository/replicas/other-copies";
import type { Repository } from "@stillpoint/repository/repository";
import { keepRunning } from "@stillpoint/service/keep-running";
import type { Registry } from "prom-client";
import { type FollowContext, followReplica } from "./follow-replica.ts";
import { replicaMetrics } from "./replica-metrics.ts";

export type ReplicationOptions = Omit<FollowContext, "metrics" | "repository" | "primary" | "replicas"> & {
  registry: Registry;
  roles: Roles<OpenTarget>;
};

/** What damage of an object looks like to who reads it; that a target is out of reach is no damage. */
const DAMAGE: ReadonlySet<string> = new Set(["OBJECT_DAMAGED", "OBJECT_MISSING"]);

/** Objects that a reader found damaged on the primary and a replica served: put back from there, one at a time. */
function repairQueue(log: Log, repair: (object: string) => Promise<void>) {
  const waiting = new Set<string>();
  let running: Promise<void> = Promise.resolve();
  return {
    add(object: string): void {
      if (waiting.has(object)) return;
      waiting.add(object);
      running = running
        .then(() => repair(object))
        .catch((error: unknown) => {
          // The next reader of it is served by the replica again, and it is tried again then.
          log.error({ object, error: String(error) }, "an object could not be repaired");
        })
        .finally(() => void waiting.delete(object));
    },
    idle: () => running,
  };
}

/** Follows the primary with every replica, and repairs what readers found damaged. `fellBack` is given to the repository. */
export function startReplication(options: ReplicationOptions) {
  const { roles, log, clock, registry } = options;
  const { primary, replicas } = roles;
  const followers: { target: OpenTarget; follower: ReturnType<typeof followReplica> }[] = [];
  const metrics = replicaMetrics(registry, function* () {
    for (const { target, follower } of followers) {
      const state = follower.state();
      if (state === undefined) continue;
      const since = state.failing || state.lag.objects > 0 ? (clock.monotonicMs() - state.atMs) / 1000 : 0;
      yield { target: target.name, seconds: state.lag.seconds + since };
    }
  });
  let woken = Promise.withResolvers<void>();
  let repairs: ReturnType<typeof repairQueue> | undefined;

  return {
    fellBack({ object, from, pack, error }: Fallback): void {
      const said = { object, from, error: error.toBody() };
      if (pack === undefined) {
        metrics.fallbacks.inc({ target: replicas.find(({ store }) => store.url === from)?.name ?? from });
        log.warn(said, "read from a replica what the primary could not give");
      } else log.warn({ ...said, pack }, "read from another pack what this one could not give");
      if (DAMAGE.has(error.code)) repairs?.add(object);
    },
    /** Something was written: it need not wait for the next pass. */
    wake(): void {
      const before = woken;
      woken = Promise.withResolvers<void>();
      before.resolve();
    },
    start(repository: Repository, resources: AsyncDisposableStack): void {
      const stores = replicas.map(({ store }) => store);
      repairs = repairQueue(log, async (object) => {
        const { outcome, from, why } = await repository.replicas.repair(primary.store, stores, object);
        if (outcome === "repaired") metrics.repaired.inc({ target: primary.name });
        log.warn({ object, outcome, from, why }, "an object of the primary was damaged");
      });
      resources.defer(() => repairs?.idle());
      for (const target of replicas) {
        const follower = followReplica({ ...options, repository, primary, replicas, metrics }, target);
        followers.push({ target, follower });
        resources.use(
          keepRunning(log, `replication to ${target.name}`, (signal) => follower.run(() => woken.promise, signal)),
        );
      }
    },
  };
}
