import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { StillpointError } from "@stillpoint/contracts/errors";
import { SOURCE_KINDS, type SourceKind } from "@stillpoint/contracts/names";
import { NODE_FLAGS } from "@stillpoint/repository/node-flags";

/** Several services in one process, or one. */
export type ProcessGroup = { name: string; services: readonly string[] };

const CONTROL = ["gateway", "scheduler", "orchestrator", "catalog", "validator", "alerting"];

/** The three processes of a laptop, or each service in its own, as compose and Kubernetes have it; agents of `kinds`. */
export function processGroups(isolate: boolean, kinds: readonly SourceKind[] = SOURCE_KINDS): ProcessGroup[] {
  const agents = kinds.map((kind) => `agent-${kind}`);
  if (isolate) return [...CONTROL, "vault", ...agents].map((name) => ({ name, services: [name] }));
  return [
    { name: "control", services: CONTROL },
    { name: "vault", services: ["vault"] },
    { name: "agents", services: agents },
  ];
}

export type RunningProcess = AsyncDisposable & {
  readonly name: string;
  readonly pid: number;
  /** Resolves when the process that runs now has ended, with how. */
  readonly ended: Promise<string>;
  /** SIGKILL, as a machine that fails does it. */
  kill: () => Promise<void>;
  /** Starts it anew with the settings that it had; resolves when it is ready. */
  restart: () => Promise<void>;
};

export type ProcessSettings = {
  environment: Record<string, string | undefined>;
  logFile: string;
  healthPort: number;
  signal: AbortSignal;
};

/** What works in bytes shares a laptop with the stores and with what uses them: those come first. */
const BYTE_SIDE = new Set(["vault", ...SOURCE_KINDS.map((kind) => `agent-${kind}`)]);
const NICE = "5";

const STOP_WITHIN_MS = 30_000;
const READY_WITHIN_MS = 60_000;
const POLL_MS = 50;

/** Starts one group and waits until it is ready. Its log goes to a file; what it said last is in the error. */
export async function startProcess(group: ProcessGroup, settings: ProcessSettings): Promise<RunningProcess> {
  let current = await startOnce(group, settings);
  return {
    name: group.name,
    get pid() {
      return current.child.pid ?? 0;
    },
    get ended() {
      return current.ended;
    },
    async kill() {
      current.child.kill("SIGKILL");
      await current.ended;
    },
    async restart() {
      await stop(current.child, current.ended);
      current = await startOnce(group, settings);
    },
    [Symbol.asyncDispose]: () => stop(current.child, current.ended),
  };
}

async function startOnce(group: ProcessGroup, settings: ProcessSettings) {
  const paths = group.services.map((name) => servicePath(name));
  const host = fileURLToPath(import.meta.resolve("@stillpoint/service/host"));
  const own = {
    STILLPOINT_HEALTH_PORT: String(settings.healthPort),
    STILLPOINT_PARENT_PID: String(process.pid),
  };
  const isByteSide = group.services.some((name) => BYTE_SIDE.has(name));
  const flags = isByteSide ? NODE_FLAGS : [];
  const child = spawn(process.execPath, [...flags, "--disable-warning=ExperimentalWarning", host, ...paths], {
    env: { ...(isByteSide ? { STILLPOINT_NICE: NICE } : {}), ...settings.environment, ...own },
    stdio: ["ignore", "ignore", "pipe"],
    detached: true, // Ctrl-C on the terminal is ours to pass on, once, in order
  });
  const last: string[] = [];
  const log = createWriteStream(settings.logFile, { flags: "a", mode: 0o600 });
  child.stderr.on("data", (chunk: Buffer) => {
    log.write(chunk);
    last.push(
      ...chunk
        .toString()
        .split("\n")
        .filter((line) => line !== ""),
    );
    last.splice(0, last.length - 5);
  });
  const ended = once(child, "exit").then(([code, signal]) => `ended with ${signal ?? `exit code ${code}`}`);
  const how = await Promise.race([ended, untilReady(settings.healthPort, settings.signal)]);
  if (how === "ready") return { child, ended };
  await stop(child, ended);
  throw new StillpointError("INTERNAL", {
    what: `The process ${group.name} did not start`,
    where: settings.logFile,
    why: `${how}; it said: ${last.join(" | ")}`,
  });
}

function servicePath(name: string): string {
  return fileURLToPath(new URL(`../../../services/${name}/src/service.ts`, import.meta.url));
}

async function untilReady(port: number, signal: AbortSignal): Promise<string> {
  for (let waited = 0; waited < READY_WITHIN_MS && !signal.aborted; waited += POLL_MS) {
    const answered = await fetch(`http://127.0.0.1:${port}/ready`).then(
      (response) => response.ok,
      () => false, // nobody listens yet
    );
    if (answered) return "ready";
    await wait(POLL_MS);
  }
  return signal.aborted ? "was interrupted" : `was not ready after ${READY_WITHIN_MS / 1000} s`;
}

async function stop(child: ChildProcess, ended: Promise<string>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGTERM");
  const deadline = new AbortController();
  const late = wait(STOP_WITHIN_MS, "late", { signal: deadline.signal }).catch(() => "ended");
  if ((await Promise.race([ended, late])) === "late") child.kill("SIGKILL");
  deadline.abort();
  await ended;
}
