import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { promisify } from "node:util";
import { StillpointError, toStillpointError } from "@stillpoint/contracts/errors";
import type { QueryRow } from "@stillpoint/contracts/query";
import { Secret } from "@stillpoint/contracts/secret";
import type { DriverContext, Sandbox, SandboxInput, Tools } from "@stillpoint/driver/driver";
import { listenOnLoopback } from "@stillpoint/driver/forwarder";
import { freePort } from "@stillpoint/driver/free-port";
import { type Isolation, isolate } from "@stillpoint/driver/isolation";
import { lastWords } from "@stillpoint/driver/last-words";
import { answerQuery } from "./answer-query.ts";
import { restoreServer } from "./restore-server.ts";
import { type QdrantServer, qdrantServer } from "./server.ts";
import { ownDirectories, serverEnvironment, untilReady } from "./server-process.ts";
import { DOUBLE_RUNTIME, readVersion, runtimeOf } from "./server-version.ts";

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
    env: await serverEnvironment(directory, port, key),
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
    async *query(query): AsyncGenerator<QueryRow> {
      try {
        yield* answerQuery(server, query, { mark: input.mark, signal });
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof StillpointError && error.code === "INVALID_REQUEST") throw error;
        throw await failed(error, join(directory, LOG_FILE));
      }
    },
    probeEgress: (addresses) => isolation.probeEgress(addresses),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function named(version: string, isDouble: boolean): string {
  return isDouble ? `Qdrant test double ${version}` : `Qdrant ${version}`;
}

async function failed(error: unknown, log: string): Promise<StillpointError> {
  const known = toStillpointError(error, "Cannot use a throw-away Qdrant server");
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
