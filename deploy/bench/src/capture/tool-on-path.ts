import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Its version, or undefined where it is not on PATH. */
export async function versionOf(program: string, word = "--version"): Promise<string | undefined> {
  try {
    const { stdout } = await run(program, [word]);
    return /\d[\d.]*\d/.exec(stdout)?.[0] ?? "";
  } catch {
    return undefined; // it is not there, or does not run here: then nothing is measured beside it
  }
}

/** Runs it to its end; what it says is in the error. */
export async function runTool(program: string, args: string[], env: Record<string, string> = {}): Promise<string> {
  const { stdout } = await run(program, args, {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    maxBuffer: 64 * 1024 * 1024,
  });
  return stdout;
}
