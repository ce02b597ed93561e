import { spawn } from "node:child_process";
import { once } from "node:events";
import { open, readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { StillpointError } from "@stillpoint/contracts/errors";
import { lastLines } from "./command.ts";
import { descendants, killAll, signalIfAlive } from "./process-tree.ts";
import type { ServerUser } from "./server-user.ts";

export type ServerPlan = {
  /** For people: "PostgreSQL". */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  /** What the server writes is appended here. */
  readonly logFile: string;
  readonly user: ServerUser | undefined;
  /** What the kernel sends the server when this process dies. */
  readonly deathSignal: "SIGKILL" | "SIGQUIT";
  /** Signals that ask it to stop, kindest first, each with the time it has before the next. SIGKILL is always last. */
  readonly stop: readonly { readonly signal: NodeJS.Signals; readonly waitMs: number }[];
  readonly readyWithinMs: number;
  /** Asked again and again while the process lives, until it says yes. */
  isReady(pid: number): Promise<boolean>;
};

/** A server of ours. It dies with this process, and is stopped kindly by `stop` or at the end of its scope. */
export type RunningServer = AsyncDisposable & {
  readonly pid: number;
  /** Stops it; again is harmless. */
  stop(): Promise<void>;
  /** SIGKILL to the server and all its processes, as when the machine loses it. */
  kill(): Promise<void>;
  /** Starts it again with the same port and the same data, after `stop`, `kill` or while it runs. */
  restart(): Promise<void>;
};

type Child = { readonly pid: number; readonly exited: Promise<unknown>; hasExited(): boolean };

export async function startServer(plan: ServerPlan): Promise<RunningServer> {
  let child = await startChild(plan);
  const stop = () => stopChild(child, plan);
  return {
    get pid() {
      return child.pid;
    },
    stop,
    async kill() {
      if (child.hasExited()) return;
      await killAll([child.pid, ...(await descendants(child.pid))]);
      await child.exited;
    },
    async restart() {
      await stop();
      child = await startChild(plan);
    },
    [Symbol.asyncDispose]: stop,
  };
}

async function startChild(plan: ServerPlan): Promise<Child> {
  const log = await open(plan.logFile, "a", 0o600);
  const identity = plan.user ? ["--reuid", plan.user.name, "--regid", String(plan.user.gid), "--init-groups"] : [];
  const args = ["--pdeathsig", plan.deathSignal.slice(3), ...identity, "--", plan.command, ...plan.args];
  // Detached: Ctrl-C in a terminal reaches its whole process group, and we stop servers ourselves, in order.
  const started = spawn("setpriv", args, {
    cwd: plan.cwd,
    env: plan.env,
    stdio: ["ignore", log.fd, log.fd],
    detached: true,
  });
  let ended = false;
  const exited = once(started, "exit").finally(() => {
    ended = true;
  });
  exited.catch(() => undefined); // a failed spawn is told by the missing pid, below
  await log.close();
  const { pid } = started;
  if (pid === undefined) throw await notStarted(plan, "setpriv could not be run");
  const child = { pid, exited, hasExited: () => ended };
  try {
    await waitUntilReady(child, plan);
  } catch (error) {
    await stopChild(child, plan);
    throw error;
  }
  return child;
}

async function waitUntilReady(child: Child, plan: ServerPlan): Promise<void> {
  const deadline = performance.now() + plan.readyWithinMs;
  while (!(await plan.isReady(child.pid))) {
    if (child.hasExited()) throw await notStarted(plan, "it ended while starting");
    if (performance.now() > deadline) throw await notStarted(plan, `not ready after ${plan.readyWithinMs} ms`);
    await delay(20);
  }
}

async function stopChild(child: Child, plan: ServerPlan): Promise<void> {
  if (child.hasExited()) return;
  const below = await descendants(child.pid);
  for (const { signal, waitMs } of plan.stop) {
    signalIfAlive(child.pid, signal);
    const timer = new AbortController();
    await Promise.race([child.exited, delay(waitMs, undefined, { signal: timer.signal }).catch(() => undefined)]);
    timer.abort();
    if (child.hasExited()) break;
  }
  await killAll([child.pid, ...below]);
  await child.exited;
}

async function notStarted(plan: ServerPlan, why: string): Promise<StillpointError> {
  const written = lastLines(await readFile(plan.logFile, "utf8"));
  return new StillpointError("UNREACHABLE", {
    what: `${plan.name} did not start`,
    where: plan.logFile,
    why: written === "" ? why : `${why}: ${written}`,
  });
}
