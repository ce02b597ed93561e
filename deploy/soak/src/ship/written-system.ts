import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ShippedSystem, startShippedSystem, worldIn } from "@stillpoint/bench/ship/shipped-system";
import type { RunningProcess } from "@stillpoint/cli/processes";
import type { World } from "@stillpoint/cli/world";
import type { PlanInput } from "@stillpoint/contracts/plan";
import { directoryForServers } from "@stillpoint/parts/server-user";
import { type PostgresLoad, startWrittenPostgres, type WrittenPostgres } from "./postgres-store.ts";
import type { RestoredFrom } from "./restore-store.ts";
import { startWrittenSqlite, type WrittenSqlite } from "./sqlite-store.ts";

/** PostgreSQL and SQLite, written to throughout, and the whole system that ships their logs. */
export type WrittenSystem = AsyncDisposable & {
  directory: string;
  shipped: ShippedSystem;
  postgres: WrittenPostgres;
  sqlite: WrittenSqlite;
  /** The processes that the stores' agents run in. */
  agents: readonly RunningProcess[];
  stores: readonly (WrittenPostgres | WrittenSqlite)[];
  restoring: RestoredFrom;
};

export type WrittenOptions = {
  load: PostgresLoad;
  flush: string;
  /** How old a base may grow. */
  base?: string;
  plan: Omit<PlanInput, "sources">;
  environment: Record<string, string>;
  isolate?: boolean;
};

const AGENTS = ["agents", "agent-postgres", "agent-sqlite"];

export const SOAKED_PLAN = "shipped";

export async function startWrittenSystem(world: World, options: WrittenOptions): Promise<WrittenSystem> {
  await using starting = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "stillpoint-soak-"));
  starting.defer(() => rm(directory, { recursive: true, force: true }));
  await chmod(directory, 0o755); // servers that do not run as root pass through
  const own: World = { ...worldIn(directory, world.partsDirectory, world.signal), clock: world.clock };
  const { load, flush, base, plan } = options;
  const ship = { flush, ...(base === undefined ? {} : { base }) };
  const postgres = starting.use(await startWrittenPostgres(directory, world.partsDirectory, load));
  const sqlite = starting.use(await startWrittenSqlite(directory, load));
  const password = "${env:SOAK_POSTGRES_PASSWORD}";
  const shipped = starting.use(
    await startShippedSystem(own, {
      plan: {
        ...plan,
        sources: {
          [postgres.source]: { kind: "postgres", url: postgres.url, password, ship },
          [sqlite.source]: { kind: "sqlite", path: sqlite.path, ship },
        },
      },
      environment: {
        ...postgres.environment,
        STILLPOINT_WORK_DIRECTORY: await directoryForServers(join(directory, "agents")),
        ...options.environment,
      },
      ...(options.isolate === undefined ? {} : { isolate: options.isolate }),
    }),
  );
  const { repository, keyFile } = shipped.system;
  const restoring: RestoredFrom = {
    world: own,
    shelf: { plan: SOAKED_PLAN, repository, keyFile },
    scratch: await directoryForServers(join(directory, "restored")),
    environment: postgres.environment,
  };
  const stack = starting.move();
  const stores = [postgres, sqlite] as const;
  const agents = shipped.system.processes.filter(({ name }) => AGENTS.includes(name));
  return {
    directory,
    shipped,
    agents,
    postgres,
    sqlite,
    stores,
    restoring,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
