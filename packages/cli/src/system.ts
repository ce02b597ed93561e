import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { SourceKind } from "@stillpoint/contracts/names";
import { openObjectStore } from "@stillpoint/object-store/open-object-store";
import { exclusiveLock } from "@stillpoint/parts/exclusive-lock";
import { freePort } from "@stillpoint/parts/free-port";
import { ensureNats } from "@stillpoint/parts/nats-part";
import { type NatsServer, startNats } from "@stillpoint/parts/nats-server";
import { initRepository } from "@stillpoint/repository/init-repository";
import { openerFromFile } from "@stillpoint/repository/keys/opener-file";
import { makeKeyFile } from "./make-key-file.ts";
import { processGroups, type RunningProcess, startProcess } from "./processes.ts";
import { type Endpoints, endpointsFile } from "./reach.ts";
import { stillAlive } from "./still-alive.ts";
import type { World } from "./world.ts";

export type SystemOptions = {
  /** Where this system keeps its data: streams, repository, catalog, logs. */
  directory: string;
  planFile: string;
  isolate: boolean;
  /** Which agents run; without it, those of every kind of source. */
  kinds?: readonly SourceKind[];
  restPort: number;
  partsDirectory: string;
  /** More environment for every service: secrets that the plan names, where the stores' programs lie. */
  environment: Record<string, string>;
};

export type System = AsyncDisposable &
  Endpoints & {
    processes: readonly RunningProcess[];
    repository: string;
    keyFile: string;
    logs: string;
    broker: NatsServer;
  };

/** The whole system on this machine: NATS, a repository in a directory, the services. Disposal stops all of it. */
export async function startSystem(world: World, options: SystemOptions): Promise<System> {
  await using starting = new AsyncDisposableStack();
  const { directory } = options;
  for (const part of ["nats", "logs", "catalog", "vault", "agents", "repository"])
    await mkdir(join(directory, part), { recursive: true });

  const say = (line: string) => world.errorLine(`  ${line}`);
  say("NATS …");
  const nats = starting.use(
    await startNats({
      part: await ensureNats({ directory: options.partsDirectory, log: say }),
      dir: join(directory, "nats"),
    }),
  );
  const repository = join(directory, "repository");
  const keyFile = join(directory, "repository.key");
  await ownRepository(world, repository, keyFile, say);

  const rest = `http://127.0.0.1:${options.restPort}`;
  const environment = {
    ...world.environment,
    STILLPOINT_WORK_DIRECTORY: join(directory, "agents"),
    ...options.environment,
    STILLPOINT_NATS_URL: nats.url,
    STILLPOINT_REPOSITORY: repository,
    STILLPOINT_KEY_FILE: keyFile,
    STILLPOINT_VAULT_PORT: String(await freePort()),
    STILLPOINT_VAULT_DIRECTORY: join(directory, "vault"),
    STILLPOINT_CATALOG_DIRECTORY: join(directory, "catalog"),
    STILLPOINT_PLAN_FILE: options.planFile,
    STILLPOINT_GATEWAY_PORT: String(options.restPort),
  };
  const groups = processGroups(options.isolate, options.kinds);
  say(`services: ${groups.map(({ name }) => name).join(", ")} …`);
  // The one that others ask comes first; all of them wait for what is not there yet.
  const processes = await stillAlive(world, "the services are starting", () =>
    Promise.all(
      groups.map(async (group) =>
        starting.use(
          await startProcess(group, {
            environment,
            logFile: join(directory, "logs", `${group.name}.log`),
            healthPort: await freePort(),
            signal: world.signal,
          }),
        ),
      ),
    ),
  );
  world.signal.throwIfAborted();
  const found: Endpoints = { nats: nats.url, rest, pid: process.pid };
  await writeFile(endpointsFile(world.home), JSON.stringify(found), { mode: 0o600 });
  starting.defer(() => rm(endpointsFile(world.home), { force: true }));
  const stack = starting.move();
  return {
    ...found,
    processes,
    repository,
    keyFile,
    logs: join(directory, "logs"),
    broker: nats,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** One system at a time on one directory: a second waits, and says so. */
export async function holdDirectory(directory: string, say: (line: string) => void): Promise<AsyncDisposable> {
  await mkdir(directory, { recursive: true });
  return exclusiveLock(join(directory, "lock"), () =>
    say(`! another Stillpoint runs on ${directory}; waiting until it ends`),
  );
}

/** `up` is the explicit act that makes this machine's own repository; a service never does. */
async function ownRepository(
  world: World,
  repository: string,
  keyFile: string,
  say: (line: string) => void,
): Promise<void> {
  await makeKeyFile(keyFile);
  await using store = await openObjectStore(repository, { environment: world.environment });
  try {
    await initRepository(store, { opener: await openerFromFile(keyFile), random: world.random, now: world.clock.now });
    say(`a new repository at ${repository}; its passphrase is in ${keyFile}: keep a copy elsewhere`);
  } catch (error) {
    if (!(error instanceof StillpointError && error.code === "REPOSITORY_EXISTS")) throw error;
  }
}
