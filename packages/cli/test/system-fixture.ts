import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { restoreTree } from "@stillpoint/agent/restore-tree";
import { MAINTENANCE_TASKS } from "@stillpoint/contracts/maintenance";
import type { SourceKind } from "@stillpoint/contracts/names";
import { requestBackup } from "@stillpoint/contracts/people";
import type { Point } from "@stillpoint/contracts/point";
import { openObjectStore } from "@stillpoint/object-store/open-object-store";
import { freePort } from "@stillpoint/parts/free-port";
import { readKeyFile } from "@stillpoint/repository/key-file";
import { openRepository, type Repository } from "@stillpoint/repository/repository";
import { samplePlan } from "@stillpoint/sample/plan";
import { type Sample, startSample } from "@stillpoint/sample/sample";
import { seedSample } from "@stillpoint/sample/seed";
import { PARTS_DIRECTORY } from "@stillpoint/testkit/parts-directory";
import { PROCESS_ENVIRONMENT } from "@stillpoint/testkit/process-environment";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { driverOf } from "../src/drivers.ts";
import { followRun } from "../src/follow.ts";
import { pointLogFrom, repositoryLog } from "../src/log-pieces.ts";
import type { RunningProcess } from "../src/processes.ts";
import { progressBoard } from "../src/progress-board.ts";
import { type GuestBus, reachBus } from "../src/reach.ts";
import { type System, startSystem } from "../src/system.ts";
import type { World } from "../src/world.ts";
import { makeQuickRepository } from "./quick-repository.ts";

export type TestSystem = AsyncDisposable & {
  world: World;
  system: System;
  sample: Sample;
  bus: GuestBus;
  /** Everything that the services said. */
  process: (name: string) => RunningProcess;
  /** Takes a point and gives it, or throws the run's error. `after` tells what to follow the run's events from. */
  backUp: (plan?: string) => Promise<Point>;
  repository: () => Promise<Repository>;
  directory: string;
};

export type TestSystemOptions = {
  /** Each service in a process of its own. */
  isolate: boolean;
  /** Of which there are agents. */
  kinds?: readonly SourceKind[];
  /** Short where agents are killed: their sources wait so long for the next. */
  leaseTtlMs?: number;
  /** Prove points by themselves. */
  validate: boolean;
  environment?: Record<string, string>;
  /** The content of the plan file, made from the sample's own plan. */
  planFile?: (plan: SamplePlan, directory: string) => unknown;
};

export type SamplePlan = ReturnType<typeof samplePlan>["plans"][string] & { validate: boolean };

export const PLAN = "demo";
const HOOK_TOKEN = "a-token-of-the-test";
const SCALE = 0.002;
const TWO_MINUTES_MS = 120_000;
/** A test that runs while an hour ends would find points forgotten that its plan's retention does not keep. */
const NO_MAINTENANCE = Object.keys(MAINTENANCE_TASKS)
  .map((task) => `${task}: off`)
  .join("; ");

/** The whole system, protecting a small sample of SQLite and files that is written to. */
export async function startTestSystem(options: TestSystemOptions): Promise<TestSystem> {
  await using starting = new AsyncDisposableStack();
  const { path: directory } = starting.use(await temporaryDirectory("system"));
  const connections = {
    sqlite: { path: join(directory, "app", "sessions.db") },
    files: { directory: join(directory, "app", "files") },
  };
  await mkdir(join(directory, "app"));
  await seedSample({ connections, scale: SCALE });
  const sample = await startSample({
    connections,
    stateDirectory: join(directory, "state"),
    scale: SCALE,
    writers: 4,
    writesPerSecond: 20,
    port: 0,
    token: HOOK_TOKEN,
  });
  starting.defer(() => sample.stop());

  const world = testWorld(directory);
  await mkdir(world.home);
  const planFile = join(directory, "plan.yaml");
  const { plans } = samplePlan({
    connections,
    hookUrl: sample.hookUrl,
    secrets: { hook: "TEST_HOOK_TOKEN" },
    schedule: [],
  });
  const own = plans[PLAN];
  if (own === undefined) throw new Error(`the sample has no plan ${PLAN}`);
  // A machine that is busy with other tests must not make a point fuzzy: what is tried here is order, not speed.
  const uploads = { ...own.sources.uploads, budget: { ms: 14_000 } };
  // A point waits for a flush before its fence.
  const sessions = { ...own.sources.sessions, ship: { flush: "1s" } };
  const cut = { ...own.cut, ttl: "20s", budget: "15s" };
  const sources = { ...own.sources, uploads, sessions };
  const plan: SamplePlan = { ...own, sources, cut, validate: options.validate };
  await makeQuickRepository(world.home);
  const content = options.planFile?.(plan, directory) ?? { plans: { [PLAN]: plan } };
  await writeFile(planFile, JSON.stringify(content)); // JSON is YAML
  const system = starting.use(
    await startSystem(world, {
      directory: world.home,
      planFile,
      isolate: options.isolate,
      kinds: options.kinds ?? ["sqlite", "files"],
      restPort: await freePort(),
      partsDirectory: PARTS_DIRECTORY,
      environment: {
        TEST_HOOK_TOKEN: HOOK_TOKEN,
        STILLPOINT_LEASE_TTL_MS: String(options.leaseTtlMs ?? 10_000),
        STILLPOINT_PLAN_POLL_MS: "100",
        STILLPOINT_MAINTENANCE: NO_MAINTENANCE,
        ...options.environment,
      },
    }),
  );
  const bus = starting.use(await reachBus(world));
  const stack = starting.move();
  return {
    world,
    system,
    sample,
    bus,
    directory,
    process(name) {
      const found = system.processes.find((each) => each.name === name);
      if (found === undefined) throw new Error(`no process ${name}`);
      return found;
    },
    async backUp(plan = PLAN) {
      const after = await bus.lastEventSequence();
      const { runId } = await bus.request(requestBackup, {}, { plan }, { timeoutMs: 10_000, patienceMs: 30_000 });
      return followRun(bus, runId, after, quietBoard(), AbortSignal.timeout(TWO_MINUTES_MS));
    },
    async repository() {
      const store = await openObjectStore(system.repository, { environment: {} });
      return openRepository(store, { passphrase: await readKeyFile(system.keyFile), threads: 1 });
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

export function testWorld(directory: string): World {
  return {
    environment: { ...PROCESS_ENVIRONMENT, HOME: directory },
    home: join(directory, "home"),
    partsDirectory: PARTS_DIRECTORY,
    clock: { now: Date.now, monotonicMs: () => performance.now() },
    random: randomBytes,
    isTerminal: false,
    columns: 100,
    out: () => undefined,
    error: () => undefined,
    errorLine: () => undefined,
    person: { isThere: false, line: async () => undefined, hiddenLine: async () => undefined },
    signal: new AbortController().signal,
  };
}

export function quietBoard() {
  return progressBoard({
    isTerminal: false,
    columns: 100,
    write: () => undefined,
    monotonicMs: () => performance.now(),
  });
}

/** The sequence numbers that each source of a point holds, read from what a restore into a directory gives. */
export async function restoredSequences(
  repository: Repository,
  point: Point,
  to: string,
): Promise<Map<string, Set<number>>> {
  const found = new Map<string, Set<number>>();
  const { signal } = new AbortController();
  for (const source of point.sources) {
    const directory = join(to, point.pointId, source.source);
    await restoreTree(directory, source.backups, source.mark, {
      extract: (backupId, into, { keepOwners }) => repository.restoreFiles(backupId, into, { keepOwners }),
      driver: await driverOf(source.kind),
      readLog: pointLogFrom(repositoryLog(repository, signal), { plan: point.plan, source: source.source }),
      signal,
      keepOwners: false,
      progress: () => undefined,
    });
    found.set(
      source.source,
      source.kind === "sqlite" ? await sqliteSequences(directory) : await fileSequences(directory),
    );
  }
  return found;
}

async function sqliteSequences(directory: string): Promise<Set<number>> {
  const files = await readdir(directory, { recursive: true });
  const name = files.find((file) => file.endsWith("sessions.db"));
  if (name === undefined) throw new Error(`no database among ${files.join(", ")}`);
  const database = new DatabaseSync(join(directory, name));
  try {
    return new Set(
      database
        .prepare("select seq from session")
        .all()
        .map(({ seq }) => Number(seq)),
    );
  } finally {
    database.close();
  }
}

async function fileSequences(directory: string): Promise<Set<number>> {
  const uploads = join(directory, "uploads");
  const seqs = (await readdir(uploads)).filter((file) => file.endsWith(".json"));
  const read = await Promise.all(
    seqs.map(async (file) => JSON.parse(await readFile(join(uploads, file), "utf8")) as { seq: number }),
  );
  return new Set(read.map(({ seq }) => seq));
}

const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));

/** Runs `stillpoint` as a person does, in a process of its own. */
export async function runCommand(
  test: TestSystem,
  args: string[],
  environment: Record<string, string> = {},
): Promise<{ code: number; out: string; err: string }> {
  const env = { ...PROCESS_ENVIRONMENT, STILLPOINT_HOME: test.world.home, ...environment };
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...args], { env, maxBuffer: 64_000_000 }, (error, out, err) =>
      resolve({ code: error === null ? 0 : Number(error.code), out, err }),
    );
  });
}
