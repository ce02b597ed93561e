import { isDeepStrictEqual } from "node:util";
import type { Bucket } from "@stillpoint/bus/bucket";
import { sourceChanged } from "@stillpoint/contracts/events";
import { toInstant } from "@stillpoint/contracts/names";
import { type SourceSpec, watchSettings } from "@stillpoint/contracts/source";
import type { PlanRevision } from "@stillpoint/contracts/state";
import type { BUCKETS } from "@stillpoint/contracts/topology";
import type { Driver } from "@stillpoint/driver/driver";
import { claimDirectory } from "@stillpoint/driver/sandbox-record";
import { keepRunning } from "@stillpoint/service/keep-running";
import { driverContext } from "../driver-context.ts";
import type { AgentShared } from "../own-source.ts";

export type WatchShared<Spec extends SourceSpec> = Pick<
  AgentShared<Spec>,
  "context" | "site" | "workDirectory" | "tools"
> & {
  driver: Pick<Driver<Spec>, "kind"> & Required<Pick<Driver<Spec>, "watch">>;
  plans: Bucket<(typeof BUCKETS)["plans"]>;
};

/**
 * Watches every source of this kind and site whose plan wants it, and tells of changes. Every agent of the site does: who hears
 * of a change twice asks for one point all the same, and one agent's end is no gap.
 */
export function watchSources<Spec extends SourceSpec>(shared: WatchShared<Spec>): AsyncDisposable {
  const { context, plans } = shared;
  const watched = new Map<string, { spec: SourceSpec; watching: AsyncDisposable }>();

  async function follow(plan: string, revision: PlanRevision | undefined): Promise<void> {
    const wanted = revision === undefined ? new Map<string, SourceSpec>() : sourcesOf(shared, revision);
    for (const [key, { spec, watching }] of watched) {
      const [of, source = ""] = key.split("/");
      if (of !== plan || isDeepStrictEqual(wanted.get(source), spec)) continue;
      watched.delete(key);
      await watching[Symbol.asyncDispose]();
    }
    for (const [source, spec] of wanted) {
      const key = `${plan}/${source}`;
      if (!watched.has(key)) watched.set(key, { spec, watching: watchOne(shared, plan, source, spec) });
    }
  }

  const following = keepRunning(context.log, "watched sources", async (signal) => {
    const named = new Set<string>();
    for await (const change of plans.watch(">", signal)) {
      if (change.type === "current") {
        const gone = [...watched.keys()].map((key) => key.split("/")[0] ?? "").filter((plan) => !named.has(plan));
        for (const plan of new Set(gone)) await follow(plan, undefined);
        continue;
      }
      named.add(change.key);
      // What was in force before stays so where a revision is not understood; others log that.
      if (change.type !== "invalid") await follow(change.key, change.type === "put" ? change.value : undefined);
    }
  });
  return {
    [Symbol.asyncDispose]: async () => {
      await following[Symbol.asyncDispose]();
      await Promise.all([...watched.values()].map(({ watching }) => watching[Symbol.asyncDispose]()));
    },
  };
}

function sourcesOf<Spec extends SourceSpec>(
  { driver, site }: WatchShared<Spec>,
  { definition }: PlanRevision,
): Map<string, SourceSpec> {
  const own = Object.entries(definition.sources).filter(
    ([, spec]) => spec.kind === driver.kind && spec.at === site && watchSettings(spec) !== undefined,
  );
  return new Map(own);
}

function watchOne<Spec extends SourceSpec>(
  shared: WatchShared<Spec>,
  plan: string,
  source: string,
  spec: SourceSpec,
): AsyncDisposable {
  const { context, driver, workDirectory } = shared;
  const { bus, clock, log } = context;
  const about = { plan, source };
  const settings = watchSettings(spec);
  return keepRunning(log, `watch on ${plan}/${source}`, async (signal) => {
    if (settings === undefined) throw new TypeError("unreachable: it is watched by its settings");
    await using directory = await claimDirectory(workDirectory, "watch");
    const options = {
      rescanMs: settings.rescanMs,
      changed: (by: "event" | "rescan" | "start") => {
        log.debug({ ...about, by }, "source changed");
        bus.publishSignal(sourceChanged, about, { ...about, at: toInstant(clock.now()), by });
      },
    };
    // Its kind is the driver's: else it would not be watched here.
    await driver.watch(spec as Spec, options, driverContext(shared, directory.path, signal, about));
  });
}
