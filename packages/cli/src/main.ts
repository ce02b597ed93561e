import { randomBytes } from "node:crypto";
import { resolve } from "node:path";
import { StillpointError, toStillpointError } from "@stillpoint/contracts/errors";
import { CommanderError } from "commander";
import { program } from "./commands.ts";
import type { World } from "./world.ts";

const interrupted = new AbortController();
let signals = 0;
for (const name of ["SIGINT", "SIGTERM"] as const) {
  process.on(name, () => {
    signals += 1;
    if (signals > 1) process.exit(130);
    interrupted.abort(new StillpointError("CANCELLED", { what: "Interrupted" }));
  });
}

const world: World = {
  environment: process.env,
  home: resolve(process.env.STILLPOINT_HOME ?? ".stillpoint"),
  clock: { now: Date.now, monotonicMs: () => performance.now() },
  random: randomBytes,
  isTerminal: process.stderr.isTTY === true,
  columns: process.stderr.columns ?? 100,
  out: (text) => process.stdout.write(text),
  errorLine: (text) => process.stderr.write(`${text}\n`),
  error: (text) => process.stderr.write(text),
  signal: interrupted.signal,
};

/** The only place where an outcome becomes an exit code. */
async function run(): Promise<number> {
  try {
    await program(world).parseAsync(process.argv);
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    const known = toStillpointError(error, "The command failed");
    if (process.argv.includes("--json")) world.out(`${JSON.stringify({ error: known.toBody() })}\n`);
    world.errorLine(describe(known));
    if (known.code === "INTERNAL" && error instanceof Error) world.errorLine(error.stack ?? "");
    return known.exit;
  }
}

function describe(error: StillpointError): string {
  const where = error.where === undefined ? "" : `\n  where: ${error.where}`;
  const why = error.why === undefined ? "" : `\n  why:   ${error.why}`;
  const hint = error.hint === undefined ? "" : `\n  do:    ${error.hint}`;
  return `✗ ${error.what}${where}${why}${hint}`;
}

// A connection that was left open must not keep the process, nor must its end cut off what is still to be printed.
const code = await run();
process.exitCode = code;
await Promise.all([process.stdout, process.stderr].map((stream) => new Promise<void>((done) => stream.write("", () => done()))));
process.exit(code);
