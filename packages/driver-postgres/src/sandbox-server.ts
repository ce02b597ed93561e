import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { IsolatedProcess, Isolation } from "@stillpoint/driver/isolation";
import { lastWords } from "@stillpoint/driver/last-words";
import { endsInside } from "./log-end.ts";
import { formatLsn, historyName } from "./lsn.ts";
import type { MarkDetail } from "./mark-detail.ts";
import { parseHistory } from "./timeline-history.ts";

export const PORT = 5432;

/** The last record of the log was replayed, or the target was reached. */
const REDO_DONE = "redo done at ";
/** Nothing of the log was at the target or beyond it. */
const ENDED_BEFORE = "recovery ended before configured recovery target was reached";

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
    const recovered = await whereItStopped(log, detail);
    if (recovered.startsWith(REDO_DONE)) await checkLogEnd(directory, log, detail);
    return { recovered, [Symbol.asyncDispose]: stop };
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
async function whereItStopped(log: string, detail: MarkDetail): Promise<string> {
  const expected = stopWords(detail);
  const lines = (await readFile(log, "utf8")).split("\n");
  const line = expected
    .map((words) => lines.findLast((each) => each.includes(words)))
    .find((each) => each !== undefined);
  if (line === undefined) throw await failed("recovery did not stop at the mark", log);
  return line.replace(/^.*?LOG:\s*/, "");
}

/** What PostgreSQL says where it stops for a target; the first that it said counts. */
function stopWords({ target, lsn }: MarkDetail): string[] {
  const at = "inclusive" in target && target.inclusive ? "after" : "before";
  switch (target.by) {
    case "name":
      return [`recovery stopping at restore point "${target.name}"`];
    case "lsn":
      return [`recovery stopping ${at} WAL location (LSN) "${formatLsn(lsn)}"`];
    case "xid":
      return ["commit", "abort"].map((end) => `recovery stopping ${at} ${end} of transaction ${target.xid},`);
    case "time":
      return ["recovery stopping before ", "recovery stopping after ", REDO_DONE];
    case "immediate":
      return ["recovery stopping after reaching consistency"];
    case "latest":
      return [REDO_DONE];
  }
}

/** Recovery takes damage for the end of the log, where no target is set: what it did not read must be half a record. */
async function checkLogEnd(directory: string, log: string, detail: MarkDetail): Promise<void> {
  const [, promoted] = /selected new timeline ID: (\d+)/.exec(await readFile(log, "utf8")) ?? [];
  if (promoted === undefined) throw await failed("the server does not say where the log ended", log);
  const history = await readFile(join(directory, "pg_wal", historyName(Number(promoted))), "utf8");
  const end = parseHistory(history).at(-1)?.at;
  if (end === undefined) throw await failed("the server does not say where the log ended", log);
  if (await endsInside(directory, end, detail)) return;
  throw await failed(
    `its log was read up to ${formatLsn(end)} only, and is there up to ${formatLsn(detail.until)}`,
    log,
  );
}

async function failed(why: string, log: string): Promise<StillpointError> {
  return new StillpointError("SANDBOX_FAILED", {
    what: "Cannot bring a restored PostgreSQL up",
    why: `${why}: ${await lastWords(log)}`,
  });
}
