import { readFile } from "node:fs/promises";
import { StillpointError } from "@stillpoint/contracts/errors";
import { toInstant } from "@stillpoint/contracts/names";
import type { RepairReport } from "@stillpoint/repository/repair/repair";
import { planRepair, type RepairPlan, repairPlan } from "@stillpoint/repository/repair/repair-plan";
import type { Repository } from "@stillpoint/repository/repository";
import { again, type RepositoryKeyOptions } from "../key/key-options.ts";
import { type OpenedTargets, openAllTargets, openOn } from "../open-targets.ts";
import type { World } from "../world.ts";
import { writePlanFile } from "../write-plan-file.ts";
import { damaged, describeCheck, partsOf } from "./check.ts";
import { showProgress } from "./show-progress.ts";

export type RepairCommand = RepositoryKeyOptions & { planOut?: string; apply?: string; readData?: string | boolean };

/** Either makes a plan, and changes nothing, or does what one says and checks again. */
export async function repairRepository(world: World, options: RepairCommand): Promise<void> {
  if ((options.planOut === undefined) === (options.apply === undefined))
    throw new StillpointError("INVALID_REQUEST", {
      what: "Cannot tell what to do",
      where: "--plan-out, --apply",
      why: "it is one of the two: first a plan, and when somebody has looked at it, that plan",
    });
  await using targets = await openAllTargets(world, options.repository, options);
  await using repository = await openOn(world, targets, targets.primary);
  if (options.planOut !== undefined) await makePlan(world, repository, targets, options, options.planOut);
  else if (options.apply !== undefined) await applyPlan(world, repository, targets, options, options.apply);
}

async function makePlan(
  world: World,
  repository: Repository,
  { primary }: OpenedTargets,
  options: RepairCommand,
  file: string,
): Promise<void> {
  const progress = showProgress(world);
  const readData = partsOf(options.readData ?? true);
  const report = await repository.check({ readData, onProgress: progress.tell, signal: world.signal });
  progress.end();
  const madeAt = toInstant(world.clock.now());
  const plan = planRepair(report, { repositoryId: repository.id, url: primary.store.url, madeAt });
  await writePlanFile(file, `${JSON.stringify(plan, undefined, 2)}\n`);
  if (options.json) return world.out(`${JSON.stringify(plan, undefined, 2)}\n`);
  world.out(describeCheck(report));
  for (const { object, steps } of plan.objects) world.out(`→ ${object}: ${steps.join("; ")}\n`);
  if (plan.unlistedPacks > 0) world.out(`→ ${plan.unlistedPacks} packs that no index lists: list them\n`);
  if (plan.objects.length + plan.unlistedPacks === 0) return world.out("there is nothing to repair\n");
  world.out(`${plan.objects.length} objects to repair; nothing was changed. When you have looked at it:\n`);
  world.out(`  stillpoint repo repair ${again(options)} --apply ${file}\n`);
}

async function readPlan(file: string): Promise<RepairPlan> {
  try {
    return repairPlan.parse(JSON.parse(await readFile(file, "utf8")));
  } catch (error) {
    throw new StillpointError("INVALID_REQUEST", {
      what: "Cannot read the repair plan",
      where: file,
      why: error instanceof Error ? error.message : String(error),
      hint: "make one: stillpoint repo repair --plan-out repair.json",
      cause: error,
    });
  }
}

async function applyPlan(
  world: World,
  repository: Repository,
  { replicas }: OpenedTargets,
  options: RepairCommand,
  file: string,
): Promise<void> {
  const repaired: RepairReport = await repository.repair(await readPlan(file), {
    replicas: replicas.map(({ store }) => store),
    onProgress: (done, total) => world.isTerminal && world.error(`\r  ${done} of ${total} objects\u001b[K`),
    signal: world.signal,
  });
  const progress = showProgress(world);
  const after = await repository.check({ onProgress: progress.tell, signal: world.signal });
  progress.end();
  if (options.json) world.out(`${JSON.stringify({ ...repaired, after }, undefined, 2)}\n`);
  else {
    for (const { object, outcome, detail, points } of repaired.results)
      world.out(
        `${outcome === "lost" || outcome === "retained" ? "✗" : "✓"} ${object}: ${outcome}: ${detail}${points.length === 0 ? "" : `; hurts points ${points.join(", ")}`}\n`,
      );
    if (repaired.adoptedPacks > 0) world.out(`✓ ${repaired.adoptedPacks} packs are listed again\n`);
    world.out(`afterwards: ${describeCheck(after)}`);
  }
  const left = repaired.results.filter(({ outcome }) => outcome === "lost" || outcome === "retained");
  if (after.problems.length + left.length > 0)
    throw damaged(options.repository, Math.max(after.problems.length, left.length));
}
