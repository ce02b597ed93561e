import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { IsolatedProcess, Isolation } from "@stillpoint/driver/isolation";
import type { MarkDetail } from "../mark-detail.ts";
import {
  checkLogEnd,
  ENDED_BEFORE,
  postmasterStatus,
  REDO_DONE,
  recoveryFailed,
  whereItStopped,
} from "../recovery-report.ts";
import { PORT } from "../sandbox-server.ts";

/** How a server that stands at its target is reached. */
export type RunningRecovery = { socketDirectory: string; port: number; user: string; recovered: string };

export type RecoveryRun = {
  bin: string;
  directory: string;
  /** Where the server's own log goes. */
  logs: string;
  isolation: Isolation;
  signal: AbortSignal;
  /** Why the log cannot be given any more. */
  failure: () => StillpointError | undefined;
};

export type RecoveryEnd = { recovered: string; opened: boolean };

const LOOK_MS = 50;
const STOP_MS = 10_000;
const PAUSED = "pausing at the end of recovery";
/** The postmaster calls itself ready also where it lets people look while it recovers. */
const OPENED = "database system is ready to accept connections";

/** Runs a server until it has recovered and, by the mark's action, was opened or not; it is stopped then. */
export async function runRecovery(
  run: RecoveryRun,
  detail: MarkDetail,
  paused: (server: RunningRecovery) => void = () => undefined,
): Promise<RecoveryEnd> {
  const log = join(run.logs, "recovery.log");
  try {
    return await runOnce(run, detail, log, {}, paused);
  } catch (error) {
    const isAtEnd = detail.target.by === "time" && detail.action === "promote" && run.failure() === undefined;
    if (!isAtEnd || !(await wordsIn(log, ENDED_BEFORE))) throw error;
    // No transaction ended at that time or after it, so that the end of the log is what stood then.
    return await runOnce(run, detail, join(run.logs, "recovery-to-the-end.log"), { recovery_target_time: "" }, paused);
  }
}

async function runOnce(
  run: RecoveryRun,
  detail: MarkDetail,
  log: string,
  further: Record<string, string>,
  paused: (server: RunningRecovery) => void,
): Promise<RecoveryEnd> {
  const { bin, directory, isolation, signal } = run;
  const settings = { unix_socket_directories: isolation.sockets, port: String(PORT), ...further };
  const overrides = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const server = await isolation.spawn(join(bin, "postgres"), ["-D", directory, ...overrides], {
    cwd: directory,
    output: log,
  });
  let exited = false;
  void server.exited.then(() => {
    exited = true;
  });
  try {
    let reached: RunningRecovery | undefined;
    while (!exited) {
      if (reached !== undefined && signal.aborted) return { recovered: reached.recovered, opened: false };
      signal.throwIfAborted();
      const isReady = (await postmasterStatus(directory)) === "ready";
      if (isReady && (await wordsIn(log, OPENED))) return await opened(run, detail, log, server);
      if (detail.action === "pause" && reached === undefined && isReady && (await wordsIn(log, PAUSED))) {
        const recovered = await whereItStopped(log, detail);
        reached = { socketDirectory: isolation.sockets, port: PORT, user: detail.bootstrapUser, recovered };
        paused(reached);
      }
      await delay(LOOK_MS);
    }
    const failure = run.failure();
    if (failure !== undefined) throw notReached(failure);
    // In recovery still, as it was asked to; one that fails says FATAL.
    if (detail.action !== "promote" && !(await wordsIn(log, "FATAL:")) && (await server.exited).code === 0)
      return { recovered: await whereItStopped(log, detail), opened: false };
    throw await recoveryFailed("the server ended while it recovered", log);
  } finally {
    await stop(server, () => exited);
  }
}

async function opened(
  { directory }: RecoveryRun,
  detail: MarkDetail,
  log: string,
  server: IsolatedProcess,
): Promise<RecoveryEnd> {
  const recovered = await whereItStopped(log, detail);
  if (recovered.startsWith(REDO_DONE)) await checkLogEnd(directory, log, detail);
  // Fast, not at once: the next start is to find it as it was left, with nothing to recover.
  await server.kill("SIGINT");
  const { code } = await server.exited;
  if (code !== 0) throw await recoveryFailed("the recovered server did not stop cleanly", log);
  return { recovered, opened: true };
}

async function wordsIn(log: string, words: string): Promise<boolean> {
  return (await readFile(log, "utf8")).includes(words);
}

async function stop(server: IsolatedProcess, hasExited: () => boolean): Promise<void> {
  if (hasExited()) return;
  const timer = new AbortController();
  await server.kill("SIGINT").catch(() => server.exited);
  const late = delay(STOP_MS, undefined, { signal: timer.signal }).catch(() => undefined);
  await Promise.race([server.exited, late]);
  timer.abort();
  if (!hasExited()) await server.kill("SIGKILL").catch(() => server.exited);
  await server.exited;
}

function notReached(failure: StillpointError): StillpointError {
  return new StillpointError(failure.code, {
    what: "PostgreSQL was stopped before it had reached its target; it did not open",
    where: failure.where,
    why: `${failure.what}${failure.why === undefined ? "" : `: ${failure.why}`}`,
    hint: "the same command again goes on from where it stopped",
    cause: failure,
  });
}
