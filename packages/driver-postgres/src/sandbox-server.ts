import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { IsolatedProcess, Isolation } from "@stillpoint/driver/isolation";
import { lastWords } from "@stillpoint/driver/last-words";
import { formatLsn } from "./lsn.ts";
import type { MarkDetail } from "./mark-detail.ts";

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
  const { bin, directory, log, isolation } = options;
  const settings = { ...THROW_AWAY, unix_socket_directories: isolation.sockets, port: String(PORT) };
  const overrides = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const server = await isolation.spawn(join(bin, "postgres"), ["-D", directory, ...overrides], {
    cwd: directory,
    output: log,
  });
  const stop = async () => await stopServer(server);
  try {
    await untilReady(server, options);
    return { recovered: await whereItStopped(log, detail), [Symbol.asyncDispose]: stop };
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
  while (!(await saysReady(directory))) {
    if (exited) throw await failed("the server ended while it recovered", log);
    await delay(25);
    signal.throwIfAborted();
  }
}

/** The postmaster's own word, in the eighth line of its file; the file of the source is not among a base's. */
async function saysReady(directory: string): Promise<boolean> {
  try {
    const lines = (await readFile(join(directory, "postmaster.pid"), "utf8")).split("\n");
    return lines[7]?.trim() === "ready";
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return false;
    throw error;
  }
}

/** Recovery that did not stop at the mark opened the wrong data: that is no sandbox. */
async function whereItStopped(log: string, { target, lsn }: MarkDetail): Promise<string> {
  const expected =
    target.by === "name"
      ? `recovery stopping at restore point "${target.name}"`
      : `recovery stopping before WAL location (LSN) "${formatLsn(lsn)}"`;
  const line = (await readFile(log, "utf8")).split("\n").find((each) => each.includes(expected));
  if (line === undefined) throw await failed("recovery did not stop at the mark", log);
  return line.slice(line.indexOf("recovery stopping"));
}

async function failed(why: string, log: string): Promise<StillpointError> {
  return new StillpointError("SANDBOX_FAILED", {
    what: "Cannot bring a restored PostgreSQL up",
    why: `${why}: ${await lastWords(log)}`,
  });
}
