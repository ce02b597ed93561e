import { createHash } from "node:crypto";
import { leftovers } from "./aftermath.ts";
import { violations } from "./invariants.ts";
import { MACHINES, startProcess } from "./model-process.ts";
import { finishAll, type Step, takeStep, taskViolations } from "./steps.ts";
import { WORK_KINDS, type WorkKind } from "./works.ts";
import { newWorld } from "./world.ts";

export type ModelRun = {
  /** The step after which something was wrong; undefined where nothing ever was. */
  failedAt: number | undefined;
  violations: string[];
  /** What each step did, with the calls of the stores in it. */
  trace: string[];
  /** Of the trace: the same steps give the same. */
  digest: string;
  figures: { points: number; kept: number; objects: number };
};

/** Takes the steps in a new world, and looks after each of them whether all is as it must be. */
export async function runModel(
  seed: number,
  steps: readonly Step[],
  kinds: readonly WorkKind[] = WORK_KINDS,
): Promise<ModelRun> {
  await using world = await newWorld(seed, kinds);
  for (const machine of MACHINES) world.processes.push(await startProcess(world, world.next(), machine));
  let wrong: string[] = [];
  let failedAt: number | undefined;
  for (const step of steps) {
    const did = await takeStep(world, step);
    world.trace.push(`${step.number}. ${did}`);
    wrong = [...taskViolations(world), ...(await violations(world))];
    if (wrong.length === 0) continue;
    failedAt = step.number;
    break;
  }
  if (failedAt === undefined) {
    await finishAll(world);
    wrong = [...taskViolations(world), ...(await violations(world))];
    const hangs = world.processes.flatMap(({ tasks }) => tasks).filter(({ ended }) => !ended);
    wrong.push(...hangs.map(({ title }) => `${title} never ends`));
    if (wrong.length === 0) wrong.push(...(await leftovers(world)), ...(await violations(world)));
    if (wrong.length > 0) failedAt = steps.at(-1)?.number ?? 0;
  }
  const points = [...world.state.points.values()];
  return {
    failedAt,
    violations: wrong,
    trace: world.trace,
    digest: createHash("sha256").update(world.trace.join("\n")).digest("hex"),
    figures: {
      points: points.length,
      kept: points.filter(({ existence }) => existence === "kept").length,
      objects: world.primary.objects.size,
    },
  };
}
