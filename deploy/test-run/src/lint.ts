import { join } from "node:path";
import { runStep, type StepOptions } from "./run-step.ts";
import type { Sums } from "./sums.ts";

/** Format and lint over everything: one test. */
export async function lint(options: StepOptions): Promise<Sums> {
  const code = await runStep(
    join(options.cwd, "node_modules/.bin/biome"),
    ["ci", "--diagnostic-level=warn", "."],
    options,
  );
  return code === 0 ? { passed: 1, failed: [], skipped: [] } : { passed: 0, failed: ["format and lint"], skipped: [] };
}
