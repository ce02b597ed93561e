import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type GuestBus, reachBus } from "@stillpoint/cli/reach";
import { type System, startSystem } from "@stillpoint/cli/system";
import type { World } from "@stillpoint/cli/world";
import { openObjectStore } from "@stillpoint/object-store/open-object-store";
import { freePort } from "@stillpoint/parts/free-port";
import { installForParts } from "@stillpoint/parts/machine-packages";
import { ensureNeo4j, type Neo4jPart } from "@stillpoint/parts/neo4j-part";
import { type Neo4jServer, startNeo4j } from "@stillpoint/parts/neo4j-server";
import { directoryForServers } from "@stillpoint/parts/server-user";
import { readKeyFile } from "@stillpoint/repository/key-file";
import { openRepository, type Repository } from "@stillpoint/repository/repository";

export const PLAN = "graph";
export const SOURCE = "bank";
const PASSWORD = "SOAK_NEO4J_PASSWORD";
/** Longer than a pause that a busy machine makes, short enough that a killed one's successor comes soon. */
const LEASE_TTL_MS = 4_000;

/** Harsh to who copies and ships: many small log files, and checkpoints all the time. */
const SETTINGS = {
  "db.tx_log.rotation.size": "256k",
  "db.checkpoint.interval.time": "5s",
  "db.checkpoint.interval.tx": "2000",
};

export type GraphSystem = AsyncDisposable & {
  world: World;
  part: Neo4jPart;
  server: Neo4jServer;
  system: System;
  bus: GuestBus;
  repository: Repository;
  scratch: string;
};

/** A Neo4j, and all services with it alone in their plan: its log is shipped from the plan's acceptance on. */
export async function startGraphSystem(outer: World, { flush }: { flush: string }): Promise<GraphSystem> {
  await using starting = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "stillpoint-moments-"));
  starting.defer(() => rm(directory, { recursive: true, force: true }));
  await chmod(directory, 0o755);
  const home = join(directory, "home");
  await mkdir(home);
  const { PATH, TMPDIR } = outer.environment;
  const world = { ...outer, home, environment: { PATH, TMPDIR, HOME: directory } };
  const options = { directory: world.partsDirectory, log: (line: string) => world.errorLine(`  ${line}`) };
  await installForParts(["tools", "maven"], options);
  const part = await ensureNeo4j(options);
  const server = starting.use(await startNeo4j({ part, dir: join(directory, "neo4j"), settings: SETTINGS }));
  const planFile = join(home, "plan.yaml");
  const source = {
    kind: "neo4j",
    url: server.url,
    user: server.user,
    password: `\${env:${PASSWORD}}`,
    data: server.dataDirectory,
    ship: { flush, retain: "4GiB" },
  };
  // JSON is YAML. What proves the restores is this program, so the validator is not asked.
  await writeFile(planFile, JSON.stringify({ plans: { [PLAN]: { sources: { [SOURCE]: source }, validate: false } } }));
  const system = starting.use(
    await startSystem(world, {
      directory: home,
      planFile,
      isolate: false,
      restPort: await freePort(),
      partsDirectory: world.partsDirectory,
      environment: {
        [PASSWORD]: server.password,
        STILLPOINT_JAVA: part.java,
        STILLPOINT_JAVA_OPTIONS: JSON.stringify(part.javaArguments),
        STILLPOINT_NEO4J_LIB: part.libDirectory,
        STILLPOINT_LEASE_TTL_MS: String(LEASE_TTL_MS),
        STILLPOINT_WORK_DIRECTORY: await directoryForServers(join(home, "agents")),
      },
    }),
  );
  const bus = starting.use(await reachBus(world));
  const objects = starting.use(await openObjectStore(system.repository, { environment: {} }));
  const passphrase = await readKeyFile(system.keyFile);
  const repository = starting.use(await openRepository(objects, { passphrase, threads: 1 }));
  const scratch = await directoryForServers(join(home, "restored"));
  const stack = starting.move();
  return { world, part, server, system, bus, repository, scratch, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}
