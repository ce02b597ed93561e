import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { runStep, type StepOptions } from "./run-step.ts";
import type { Sums } from "./sums.ts";
import { vitestReport, vitestSums } from "./vitest-report.ts";

/** Every test file, or those whose path has one of `filters` in it. */
export async function vitest(filters: readonly string[], options: StepOptions): Promise<Sums> {
  await using directory = await temporaryDirectory("report");
  const file = join(directory.path, "report.json");
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
  const code = await runStep(join(options.cwd, "node_modules/.bin/vitest"), ["run", ...reporters, ...filters], options);
  const text = await readFile(file, "utf8").catch(() => undefined);
  if (text === undefined) return { passed: 0, failed: [`vitest ended with ${code} and no report`], skipped: [] };
  return vitestSums(vitestReport.parse(JSON.parse(text)), code, options.cwd);
}
