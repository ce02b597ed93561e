import { spawn } from "node:child_process";
import { once } from "node:events";

export type StepOptions = {
  readonly cwd: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
};

/** Runs a program with our output as its own; its exit code, or 1 when a signal ended it. */
export async function runStep(command: string, args: readonly string[], options: StepOptions): Promise<number> {
  const { cwd, env = process.env, signal } = options;
  const child = spawn(command, args, { cwd, env, stdio: ["ignore", "inherit", "inherit"] });
  const stop = () => child.kill("SIGINT");
  signal.addEventListener("abort", stop);
  try {
    const [code] = await once(child, "exit");
    return typeof code === "number" ? code : 1;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
