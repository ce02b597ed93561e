import { randomBytes } from "node:crypto";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { StillpointError, toStillpointError } from "@stillpoint/contracts/errors";
import { personAt } from "./ask.ts";
import type { World } from "./world.ts";

/**
 * Runs a program of ours and ends the process: the only place where its outcome becomes an exit code. The first Ctrl-C
 * fires the world's signal, the second ends at once.
 */
export async function runAsCommand(
  run: (world: World) => Promise<unknown>,
  exitOf: (error: StillpointError) => number = ({ exit }) => exit,
): Promise<never> {
  const interrupted = new AbortController();
  let signals = 0;
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.on(name, () => {
      signals += 1;
      if (signals > 1) process.exit(130);
      interrupted.abort(new StillpointError("CANCELLED", { what: "Interrupted" }));
    });
  }
  // Beside the checkout's own files, wherever the command is called from.
  const home = resolve(process.env.STILLPOINT_HOME ?? fileURLToPath(new URL("../../../.stillpoint", import.meta.url)));
  const world: World = {
    environment: process.env,
    home,
    partsDirectory: process.env.STILLPOINT_PARTS_DIRECTORY ?? join(home, "parts"),
    clock: { now: Date.now, monotonicMs: () => performance.now() },
    random: randomBytes,
    isTerminal: process.stderr.isTTY === true,
    columns: process.stderr.columns ?? 100,
    out: (text) => process.stdout.write(text),
    errorLine: (text) => process.stderr.write(`${text}\n`),
    error: (text) => process.stderr.write(text),
    person: personAt(process.stdin, (text) => process.stderr.write(text)),
    signal: interrupted.signal,
  };
  const code = await outcome(world, run, exitOf);
  // What is still to be printed must not be cut off by the end; a connection left open must not prevent it.
  await Promise.all(
    [process.stdout, process.stderr].map((stream) => new Promise<void>((done) => stream.write("", () => done()))),
  );
  process.exit(code);
}

async function outcome(
  world: World,
  run: (world: World) => Promise<unknown>,
  exitOf: (error: StillpointError) => number,
): Promise<number> {
  try {
    await run(world);
    return 0;
  } catch (error) {
    const known = toStillpointError(error, "The command failed");
    if (process.argv.includes("--json") && known.code !== "PARTIAL")
      world.out(`${JSON.stringify({ error: known.toBody() })}\n`);
    world.errorLine(describe(known));
    if (known.code === "INTERNAL" && error instanceof Error) world.errorLine(error.stack ?? "");
    return exitOf(known);
  }
}

function describe(error: StillpointError): string {
  const where = error.where === undefined ? "" : `\n  where: ${error.where}`;
  const why = error.why === undefined ? "" : `\n  why:   ${error.why}`;
  const hint = error.hint === undefined ? "" : `\n  do:    ${error.hint}`;
  return `✗ ${error.what}${where}${why}${hint}`;
}
