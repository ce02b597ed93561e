import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { runStep, type StepOptions } from "./run-step.ts";
import type { Sums } from "./sums.ts";

const runSummary = z.object({
  tasks: z.array(
    z.object({
      taskId: z.string(),
      task: z.string(),
      execution: z.object({ exitCode: z.number().nullish() }).nullish(),
    }),
  ),
});

/** `tsc` over every package: a test each. */
export async function typecheck(options: StepOptions): Promise<Sums> {
  const summaries = join(options.cwd, ".turbo/runs");
  const before = await listed(summaries);
  const args = [
    "run",
    "typecheck",
    "--summarize",
    "--continue=always",
    "--output-logs=errors-only",
    "--ui=stream",
    "--concurrency=100%",
  ];
  const code = await runStep(join(options.cwd, "node_modules/.bin/turbo"), args, options);
  const [summary] = (await listed(summaries)).filter((name) => !before.includes(name));
  if (summary === undefined) return { passed: 0, failed: [`typecheck: turbo ended with ${code}`], skipped: [] };
  return typecheckSums(runSummary.parse(JSON.parse(await readFile(join(summaries, summary), "utf8"))), code);
}

/** turbo's own exit code counts too: a task that never ran has no failure in the summary. */
export function typecheckSums(summary: z.infer<typeof runSummary>, exitCode: number): Sums {
  const tasks = summary.tasks.filter(({ task }) => task === "typecheck");
  const failed = tasks.filter(({ execution }) => execution?.exitCode !== 0).map(({ taskId }) => taskId);
  if (exitCode !== 0 && failed.length === 0) failed.push(`typecheck: turbo ended with ${exitCode}`);
  return {
    passed: tasks.length - tasks.filter(({ execution }) => execution?.exitCode !== 0).length,
    failed,
    skipped: [],
  };
}

async function listed(directory: string): Promise<string[]> {
  return readdir(directory).catch(() => []); // not there before turbo's first run
}
