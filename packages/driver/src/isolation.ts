import { existsSync } from "node:fs";
import { chown, mkdtemp, readFile, realpath, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Account, accountOf } from "./account.ts";
import type { EgressResult } from "./driver.ts";
import { COMMON_DIRECTORIES, planHiding, socketPaths } from "./hide-plan.ts";
import { PROGRAM_PATH, startInit } from "./isolation-client.ts";
import { isolationMeans } from "./isolation-means.ts";
import type { HidePlan } from "./isolation-messages.ts";
import { processIdentity } from "./process-identity.ts";
import { recordSandbox, SOCKET_DIRECTORY_PREFIX } from "./sandbox-record.ts";

export type IsolateOptions = {
  /** The sandbox's own directory: stays visible inside, takes its record. Usually `DriverContext.directory`. */
  directory: string;
  /** Further directories that what runs inside must see: the laid-out tree, the store's programs. */
  keep?: readonly string[];
  /** Directories to hide beyond the common ones, such as those of a source's sockets. */
  hide?: readonly string[];
  /** Account that everything inside runs as, if this process is root (`Tools.serverUser`). */
  user?: string | undefined;
  /** Do not isolate (`Tools.openSandboxes`). */
  open?: boolean | undefined;
  signal: AbortSignal;
};

export type SpawnOptions = {
  /** The whole environment: nothing is inherited. */
  env?: Record<string, string>;
  cwd?: string;
  /** File that takes standard output and errors, appended. */
  output: string;
};

export interface IsolatedProcess {
  readonly exited: Promise<{ code: number | null; signal: string | null }>;
  /** SIGKILL reaches its whole process group. */
  kill(signal: NodeJS.Signals): Promise<void>;
}

/** Where a sandbox's processes run. Disposal ends every one of them, and so does the death of this process. */
export interface Isolation extends AsyncDisposable {
  /** Nothing outside can be reached from inside, as far as this machine can tell. */
  readonly isolated: boolean;
  /** Why it is not. */
  readonly reason: string | undefined;
  /** A directory with a short path, visible inside and outside and owned by the account: for Unix sockets. */
  readonly sockets: string;
  readonly account: Account | undefined;
  /** Starts a program inside; rejects with SANDBOX_FAILED if it cannot be started at all. */
  spawn(command: string, args: readonly string[], options: SpawnOptions): Promise<IsolatedProcess>;
  /** Lets a TCP port of 127.0.0.1 inside be reached outside: the path of a Unix socket that leads to it. */
  forward(port: number): Promise<string>;
  /** Tries, from inside, to get out. */
  probeEgress(addresses: readonly string[]): Promise<EgressResult[]>;
}

const PROBE_TIMEOUT_MS = 1500;

export async function isolate(options: IsolateOptions): Promise<Isolation> {
  options.signal.throwIfAborted();
  const account = process.getuid?.() === 0 && options.user !== undefined ? await accountOf(options.user) : undefined;
  const means = options.open
    ? { launcher: [], network: false, mounts: false, reason: "sandboxes run in the open here" }
    : await isolationMeans(account !== undefined);
  const sockets = await mkdtemp(SOCKET_DIRECTORY_PREFIX);
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(async () => await rm(sockets, { recursive: true, force: true }));
  if (account !== undefined) await chown(sockets, account.uid, account.gid);
  await recordSandbox(options.directory, { processes: [], directories: [sockets] });

  const inside = await startInit(means.launcher, join(options.directory, "isolation.log"));
  cleanup.defer(async () => await inside.end());
  const abort = () => void inside.end();
  options.signal.addEventListener("abort", abort, { once: true });
  cleanup.defer(() => options.signal.removeEventListener("abort", abort));
  const processes = await Promise.all(inside.pids().map(processIdentity));
  await recordSandbox(options.directory, {
    processes: processes.filter((each) => each !== undefined),
    directories: [sockets],
  });
  await inside.ask({
    do: "prepare",
    loopback: means.network,
    ...(means.mounts ? { hide: await hidePlan(options, sockets) } : {}),
  });

  const owned = cleanup.move();
  let forwards = 0;
  return {
    isolated: means.network && means.mounts,
    reason: means.reason,
    sockets,
    account,
    async spawn(command, args, { env = {}, cwd = options.directory, output }) {
      const whole = { PATH: PROGRAM_PATH, HOME: options.directory, LANG: "C.UTF-8", ...env };
      const { id, exited } = await inside.spawn({
        do: "spawn",
        command,
        args: [...args],
        env: whole,
        cwd,
        output,
        guarded: !means.mounts,
        ...(account === undefined ? {} : { account }),
      });
      return {
        exited,
        async kill(signal) {
          await inside.ask({ do: "kill", process: id, signal });
        },
      };
    },
    async forward(port) {
      forwards += 1;
      const socket = join(sockets, `tcp-${forwards}`);
      await inside.ask({ do: "forward", socket, port, ...(account === undefined ? {} : { account }) });
      return socket;
    },
    async probeEgress(addresses) {
      return await inside.ask({ do: "probe", addresses: [...addresses], timeoutMs: PROBE_TIMEOUT_MS });
    },
    async [Symbol.asyncDispose]() {
      await owned.disposeAsync();
    },
  };
}

async function hidePlan(options: IsolateOptions, sockets: string): Promise<HidePlan> {
  const here = dirname(fileURLToPath(import.meta.url));
  const real = async (paths: readonly string[]) =>
    await Promise.all(paths.filter((path) => existsSync(path)).map(async (path) => await realpath(path)));
  const found = socketPaths(await readFile("/proc/net/unix", "utf8"));
  return planHiding({
    hide: await real([...COMMON_DIRECTORIES, ...(options.hide ?? [])]),
    keep: await real([
      options.directory,
      sockets,
      ...(options.keep ?? []),
      dirname(await realpath(process.execPath)),
      productRoot(here),
    ]),
    sockets: await real(found),
    own: await realpath(sockets),
  });
}

/** What holds this product's sources and dependencies: servers of ours run from there. */
function productRoot(from: string): string {
  for (let at = from; at !== dirname(at); at = dirname(at)) {
    if (existsSync(join(at, "pnpm-workspace.yaml"))) return at;
  }
  return dirname(from);
}
