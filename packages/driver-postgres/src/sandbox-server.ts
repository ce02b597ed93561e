import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { IsolatedProcess, Isolation } from "@stillpoint/driver/isolation";
import type { MarkDetail } from "./mark-detail.ts";
import {
  checkLogEnd,
  ENDED_BEFORE,
  postmasterStatus,
  REDO_DONE,
  recoveryFailed,
  whereItStopped,
} from "./recovery-report.ts";

export const PORT = 5432;

/** Of a server whose data is thrown away: durable in nothing, and as quiet as the machine it shares. */
const THROW_AWAY: Record<string, string> = {
  fsync: "off",
  full_page_writes: "off",
  synchronous_commit: "off",
  autovacuum: "off",
  restart_after_crash: "off",
  jit: "off",
  // A container's shared memory is small, and parallel workers live in it.
  max_parallel_workers_per_gather: "0",
  max_parallel_maintenance_workers: "0",
};

export type ServerOptions = { bin: string; directory: string; log: string; isolation: Isolation; signal: AbortSignal };

export type SandboxServer = AsyncDisposable & {
  /** The line of its log that says where recovery stopped. */
  recovered: string;
};

/** Starts `postgres` on a laid-out directory and returns when it has recovered to the mark and answers. */
export async function startServer(options: ServerOptions, detail: MarkDetail): Promise<SandboxServer> {
  try {
    return await startOnce(options, detail);
  } catch (error) {
    // No transaction ended at that time or after it, so that the end of the log is what stood then.
    if (detail.target.by !== "time" || !(await readFile(options.log, "utf8")).includes(ENDED_BEFORE)) throw error;
    return await startOnce(options, detail, { recovery_target_time: "" });
  }
}

async function startOnce(
  options: ServerOptions,
  detail: MarkDetail,
  further: Record<string, string> = {},
): Promise<SandboxServer> {
  const { directory, log } = options;
  await using started = new AsyncDisposableStack();
  started.use(await startQuiet(options, further));
  const recovered = await whereItStopped(log, detail);
  if (recovered.startsWith(REDO_DONE)) await checkLogEnd(directory, log, detail);
  const running = started.move();
  return { recovered, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

/** A throw-away server that answers on the socket in its isolation. */
export async function startQuiet(
  options: ServerOptions,
  further: Record<string, string> = {},
): Promise<AsyncDisposable> {
  const { bin, directory, log, isolation } = options;
  const settings = { ...THROW_AWAY, unix_socket_directories: isolation.sockets, port: String(PORT), ...further };
  const overrides = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const server = await isolation.spawn(join(bin, "postgres"), ["-D", directory, ...overrides], {
    cwd: directory,
    output: log,
  });
  const stop = async () => await stopServer(server);
  try {
    await untilReady(server, options);
    return { [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function stopServer(server: IsolatedProcess): Promise<void> {
  // Immediately: the postmaster takes its children and its shared memory with it. What cannot be told so any more is
  // ending already, with all that surrounds it.
  await server.kill("SIGQUIT").catch(() => server.exited);
  const timer = new AbortController();
  const hung = delay(5_000, "hung" as const, { signal: timer.signal }).catch(() => "hung" as const);
  if ((await Promise.race([server.exited, hung])) === "hung") await server.kill("SIGKILL");
  timer.abort();
  await server.exited;
}

async function untilReady(server: IsolatedProcess, { directory, log, signal }: ServerOptions): Promise<void> {
  let exited = false;
  void server.exited.then(() => {
    exited = true;
  });
  while ((await postmasterStatus(directory)) !== "ready") {
    if (exited) throw await recoveryFailed("the server ended while it recovered", log);
    await delay(25);
    signal.throwIfAborted();
  }
}
