import { relative } from "node:path";
import { z } from "zod";
import type { Sums } from "./sums.ts";

const assertion = z.object({
  fullName: z.string(),
  status: z.enum(["passed", "failed", "skipped", "pending", "todo", "disabled"]),
  failureMessages: z.array(z.string()).nullish(),
});

/** The part of vitest's JSON report that sums need. */
export const vitestReport = z.object({
  testResults: z.array(z.object({ name: z.string(), status: z.string(), assertionResults: z.array(assertion) })),
});

/**
 * The sums of a vitest run. A file that could not be loaded, or whose set-up failed, has no failed test of its own, and
 * an error outside of every test is in no file at all: each counts as one failure, or they would be lost.
 */
export function vitestSums(report: z.infer<typeof vitestReport>, exitCode: number, checkout: string): Sums {
  let passed = 0;
  const failed: string[] = [];
  const skipped: string[] = [];
  for (const file of report.testResults) {
    const name = relative(checkout, file.name);
    const failedBefore = failed.length;
    for (const { fullName, status, failureMessages } of file.assertionResults) {
      if (status === "passed") passed++;
      else if (status !== "failed") skipped.push(`${name}: ${fullName}`);
      else failed.push(`${name}: ${fullName}${firstLine(failureMessages?.[0])}`);
    }
    if (file.status === "failed" && failed.length === failedBefore) failed.push(`${name}: the file itself`);
  }
  if (exitCode !== 0 && failed.length === 0) failed.push(`vitest ended with ${exitCode}, outside of every test`);
  return { passed, failed, skipped };
}

const REASON_CHARACTERS = 300;

/** Why a test failed, in short: where only the end of a long run's output is kept, this is all that tells it. */
function firstLine(message: string | undefined): string {
  const line = message?.split("\n", 1)[0]?.trim() ?? "";
  return line === "" ? "" : `: ${line.slice(0, REASON_CHARACTERS)}`;
}
