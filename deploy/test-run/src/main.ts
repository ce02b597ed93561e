import { fileURLToPath } from "node:url";
import { lint } from "./lint.ts";
import { bringParts } from "./parts.ts";
import type { StepOptions } from "./run-step.ts";
import { exitCode, sumLine, total, withoutSkips } from "./sums.ts";
import { typecheck } from "./typecheck.ts";
import { vitest } from "./vitest.ts";

const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => interrupted.abort());

const began = performance.now();
const say = (line: string) => process.stderr.write(`[${Math.round((performance.now() - began) / 1000)} s] ${line}\n`);
const options: StepOptions = {
  cwd: fileURLToPath(new URL("../../..", import.meta.url)),
  env: { ...process.env, TURBO_TELEMETRY_DISABLED: "1" },
  signal: interrupted.signal,
};

say("parts, format, lint and types");
const parts = bringParts(say);
const checked = [await lint(options), await typecheck(options)];
await parts;
say("tests");
const tested = await vitest(process.argv.slice(2), options);
say("done");

if (interrupted.signal.aborted) process.exit(130);
const found = total([...checked, tested]);
const sums = process.env.CI === "true" ? withoutSkips(found) : found;
for (const name of sums.failed) process.stdout.write(`failed: ${name}\n`);
for (const name of sums.skipped) process.stdout.write(`skipped: ${name}\n`);
process.stdout.write(`${sumLine(sums)}\n`);
process.exitCode = exitCode(sums);
