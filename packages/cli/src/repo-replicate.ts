import { setTimeout as delay } from "node:timers/promises";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { OpenTarget } from "@stillpoint/object-store/open-target";
import type { ReplicateReport } from "@stillpoint/repository/replicas/replicate";
import type { Repository } from "@stillpoint/repository/repository";
import { bytes, span } from "./figures.ts";
import type { KeyOptions } from "./key/key-options.ts";
import { type OpenedTargets, openAllTargets, openOn, targetNamed } from "./open-targets.ts";
import type { World } from "./world.ts";

export type ReplicateOptions = KeyOptions & {
  repository: string;
  once: boolean;
  replica?: string;
  takeIn?: string;
  json?: boolean;
};

const EVERY_MS = 30_000;
const SAID_EVERY_MS = 1_000;

async function onePass(
  world: World,
  pass: Repository["replicas"]["replicate"],
  target: OpenTarget,
  others: readonly OpenTarget[],
): Promise<ReplicateReport> {
  let saidMs = world.clock.monotonicMs();
  const report = await pass(target.store, {
    others: others.map(({ store }) => store),
    signal: world.signal,
    onProgress: (progress) => {
      const nowMs = world.clock.monotonicMs();
      if (nowMs - saidMs < SAID_EVERY_MS) return;
      saidMs = nowMs;
      const words = `  ${target.name}: ${progress.objects} of ${progress.ofObjects} objects, ${bytes(progress.bytes)} of ${bytes(progress.ofBytes)}`;
      world.error(world.isTerminal ? `\r${words}\u001b[K` : `${words}\n`);
    },
  });
  if (world.isTerminal) world.error("\r\u001b[K");
  return report;
}

function say(world: World, name: string, { copiedObjects, copiedBytes, notCopied, lag }: ReplicateReport): void {
  const behind =
    lag.objects === 0 ? "nothing is behind" : `${lag.objects} objects, ${span(lag.seconds * 1000)}, are behind`;
  world.out(`${name}: copied ${copiedObjects} objects, ${bytes(copiedBytes)}; ${behind}\n`);
  for (const { object, why } of notCopied.slice(0, 20)) world.out(`✗ ${name}: ${object}: ${why}\n`);
}

/** Once, or until Ctrl-C. Each replica is served even if another fails; the first failure is thrown in the end. */
export async function replicateRepository(world: World, options: ReplicateOptions): Promise<void> {
  await using targets = await openAllTargets(world, options.repository, options);
  if (options.takeIn !== undefined) return await takeIn(world, targets, options.takeIn, options.json === true);
  const replicas = options.replica === undefined ? targets.replicas : [targetNamed(targets, options.replica)];
  if (replicas.length === 0)
    throw new StillpointError("CONFIG_INVALID", {
      what: "There is no replica to copy to",
      where: options.repository,
      hint: "name the targets file by --repository: docs/guide/targets.md",
    });
  await using repository = await openOn(world, targets, targets.primary);
  for (;;) {
    const reports: Record<string, ReplicateReport | { error: string }> = {};
    let failed: unknown;
    for (const replica of replicas)
      try {
        const others = targets.replicas.filter((each) => each !== replica);
        const report = await onePass(world, repository.replicas.replicate, replica, others);
        reports[replica.name] = report;
        if (!options.json) say(world, replica.name, report);
        if (report.notCopied.length > 0) failed ??= behind(replica.name, report);
      } catch (error) {
        world.signal.throwIfAborted();
        failed ??= error;
        reports[replica.name] = { error: error instanceof Error ? error.message : String(error) };
        if (!options.once)
          world.errorLine(`${replica.name}: ${error instanceof Error ? error.message : String(error)}`);
      }
    if (options.json) world.out(`${JSON.stringify(shown(reports))}\n`);
    if (options.once && failed !== undefined) throw failed;
    if (options.once) return;
    await delay(EVERY_MS, undefined, { signal: world.signal }).catch(() => undefined); // only Ctrl-C ends it early
    if (world.signal.aborted) return;
  }
}

function shown(reports: Record<string, ReplicateReport | { error: string }>) {
  return Object.fromEntries(
    Object.entries(reports).map(([name, report]) => {
      if ("error" in report) return [name, report];
      const { before: _, ...rest } = report;
      return [name, rest];
    }),
  );
}

function behind(name: string, { notCopied }: ReplicateReport): StillpointError {
  return new StillpointError("REPLICA_BEHIND", {
    what: "Not everything could be copied",
    where: name,
    why: `${notCopied.length} objects wait, the first ${notCopied[0]?.object}: ${notCopied[0]?.why}`,
    hint: "run `stillpoint repo check`, and repair what it names",
  });
}

/** Copies what only an old primary has into the present one: what was written there while it was cut off. */
async function takeIn(world: World, targets: OpenedTargets, name: string, json: boolean): Promise<void> {
  const from = targetNamed(targets, name);
  await using old = await openOn(world, { ...targets, primary: from, replicas: [] }, from);
  const report = await onePass(world, old.replicas.takeIn, targets.primary, []);
  if (json) world.out(`${JSON.stringify(shown({ [targets.primary.name]: report }))}\n`);
  else say(world, targets.primary.name, report);
  if (report.notCopied.length > 0) throw behind(targets.primary.name, report);
}
