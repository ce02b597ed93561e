import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname, isAbsolute, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { StillpointError, toStillpointError } from "@stillpoint/contracts/errors";
import type { QueryRow } from "@stillpoint/contracts/query";
import { Secret } from "@stillpoint/contracts/secret";
import type { DriverContext, Sandbox, SandboxInput, Tools } from "@stillpoint/driver/driver";
import { listenOnLoopback } from "@stillpoint/driver/forwarder";
import { type Isolation, isolate } from "@stillpoint/driver/isolation";
import { lastWords } from "@stillpoint/driver/last-words";
import { answerQuery } from "./answer-query.ts";
import { restoreServer } from "./restore-server.ts";
import { type QdrantServer, qdrantServer } from "./server.ts";
import { DOUBLE_RUNTIME, readVersion, runtimeOf } from "./server-version.ts";

const READY_MS = 60_000;
const POLL_MS = 25;
const LOG_FILE = "qdrant.log";

/** The runtimes that the server installed here has: one, or none. */
export async function installedRuntimes(tools: Tools, signal: AbortSignal): Promise<string[]> {
  const [command, ...args] = tools.qdrantCommand ?? [];
  if (command === undefined) return [];
  if (tools.qdrantIsDouble === true) return [DOUBLE_RUNTIME];
  const { stdout } = await promisify(execFile)(command, [...args, "--version"], { signal });
  const runtime = runtimeOf(stdout);
  return runtime === undefined ? [] : [runtime];
}

export async function startSandbox(input: SandboxInput, context: DriverContext): Promise<Sandbox> {
  const { tools, directory, signal } = context;
  const [command, ...args] = tools.qdrantCommand ?? [];
  if (command === undefined) throw notInstalled("no Qdrant server is installed here", input.runtime.id);
  const runtimes = await installedRuntimes(tools, signal);
  // Above all, a user's data never goes into the double.
  if (!runtimes.includes(input.runtime.id))
    throw notInstalled(`${runtimes.join() || "another"} is here`, input.runtime.id);

  await using cleanup = new AsyncDisposableStack();
  const log = join(directory, LOG_FILE);
  const isolation = cleanup.use(
    await isolate({
      directory,
      keep: [input.directory, ...ownDirectories([command, ...args])],
      open: tools.openSandboxes,
      signal,
    }),
  );
  const key = new Secret(randomBytes(24).toString("base64url"));
  const port = await freePort();
  const child = await isolation.spawn(command, args, {
    env: await settings(directory, port, key),
    cwd: directory,
    output: log,
  });
  let hasExited = false;
  void child.exited.then(() => {
    hasExited = true;
  });
  const loopback = cleanup.use(await listenOnLoopback(await isolation.forward(port)));
  const server = qdrantServer({ https: false, host: "127.0.0.1", port: loopback.port, prefix: "" }, key);
  try {
    await untilReady(server, () => hasExited, signal);
    const recovered = await restoreServer(server, input.directory, signal);
    const { version, isDouble } = await readVersion(server, signal);
    const owned = cleanup.move();
    return sandboxOf({
      server,
      isolation,
      input,
      directory,
      signal,
      recovered,
      owned,
      version: named(version, isDouble),
    });
  } catch (error) {
    signal.throwIfAborted();
    throw await failed(error, log);
  }
}

type Parts = {
  server: QdrantServer;
  isolation: Isolation;
  input: SandboxInput;
  directory: string;
  signal: AbortSignal;
  recovered: string;
  version: string;
  owned: AsyncDisposableStack;
};

function sandboxOf({ server, isolation, input, directory, signal, recovered, version, owned }: Parts): Sandbox {
  return {
    version,
    recovered,
    query: (query): AsyncIterable<QueryRow> => answerQuery(server, query, { mark: input.mark, directory, signal }),
    probeEgress: (addresses) => isolation.probeEgress(addresses),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function named(version: string, isDouble: boolean): string {
  return isDouble ? `Qdrant test double ${version}` : `Qdrant ${version}`;
}

/** Everything by environment, which a server and its double read alike; nothing of the source's settings. */
async function settings(directory: string, port: number, key: Secret): Promise<Record<string, string>> {
  const storage = join(directory, "storage");
  await mkdir(storage, { recursive: true });
  return {
    QDRANT__SERVICE__HOST: "127.0.0.1",
    QDRANT__SERVICE__HTTP_PORT: String(port),
    QDRANT__SERVICE__GRPC_PORT: String(await freePort()),
    QDRANT__SERVICE__API_KEY: key.reveal(),
    QDRANT__SERVICE__ENABLE_STATIC_CONTENT: "false",
    QDRANT__CLUSTER__ENABLED: "false",
    QDRANT__STORAGE__STORAGE_PATH: storage,
    QDRANT__STORAGE__SNAPSHOTS_PATH: join(directory, "snapshots"),
    QDRANT__STORAGE__TEMP_PATH: join(directory, "temporary"),
    QDRANT__TELEMETRY_DISABLED: "true",
    QDRANT_INIT_FILE_PATH: join(directory, "initialized"),
  };
}

/** What of the command lies somewhere of its own, such as an interpreter's packages: it must stay visible inside. */
function ownDirectories(command: readonly string[]): string[] {
  return command.flatMap((word) => {
    const value = /^\w+=(\/.*)$/.exec(word)?.[1];
    if (value !== undefined) return value.split(":");
    return isAbsolute(word) ? [dirname(word)] : [];
  });
}

/** Free outside; inside a namespace of its own every port is. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new TypeError("unreachable: it listens on TCP");
  return address.port;
}

async function untilReady(server: QdrantServer, hasExited: () => boolean, signal: AbortSignal): Promise<void> {
  const limit = AbortSignal.timeout(READY_MS);
  while (!(await isReady(server, signal))) {
    if (hasExited()) throw new Error("the server ended while it started");
    if (limit.aborted) throw new Error(`the server is not ready after ${READY_MS / 1000} s`);
    await delay(POLL_MS, undefined, { signal });
  }
}

async function isReady({ url }: QdrantServer, signal: AbortSignal): Promise<boolean> {
  try {
    const response = await fetch(`${url}/readyz`, { signal });
    await response.body?.cancel();
    return response.ok;
  } catch {
    signal.throwIfAborted();
    return false; // not listening yet: the answer, not a failure
  }
}

async function failed(error: unknown, log: string): Promise<StillpointError> {
  const known = toStillpointError(error, "Cannot start a throw-away Qdrant server");
  return new StillpointError("SANDBOX_FAILED", {
    what: known.what,
    where: known.where,
    why: [known.why, await lastWords(log)]
      .filter((each) => each !== undefined && each !== "")
      .join("; its last words: "),
    cause: error,
  });
}

function notInstalled(why: string, runtime: string): StillpointError {
  return new StillpointError("STORE_NOT_INSTALLED", {
    what: "Cannot start a throw-away Qdrant server",
    where: runtime,
    why,
    hint: `run an agent whose server is ${runtime}`,
  });
}
