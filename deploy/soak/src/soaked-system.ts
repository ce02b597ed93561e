import { randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { agentSettings, toolsOf } from "@stillpoint/agent/settings";
import { type GuestBus, reachBus } from "@stillpoint/cli/reach";
import { type System, startSystem } from "@stillpoint/cli/system";
import type { World } from "@stillpoint/cli/world";
import { StillpointError } from "@stillpoint/contracts/errors";
import { SECRETS, startStores } from "@stillpoint/demo/stores";
import type { Tools } from "@stillpoint/driver/driver";
import { openObjectStore } from "@stillpoint/object-store/open-object-store";
import { freePort } from "@stillpoint/parts/free-port";
import { directoryForServers } from "@stillpoint/parts/server-user";
import { readKeyFile } from "@stillpoint/repository/key-file";
import { openRepository, type Repository } from "@stillpoint/repository/repository";
import type { HookManner } from "@stillpoint/sample/gate";
import { type JournalEntry, readJournal } from "@stillpoint/sample/journal";
import { samplePlan } from "@stillpoint/sample/plan";
import { type Sample, startSample } from "@stillpoint/sample/sample";
import { seedSample } from "@stillpoint/sample/seed";
import type { Connections } from "@stillpoint/sample/stores";

/** `all`: the five stores. `quick`: those that restore in moments, without Neo4j and Qdrant. */
export const PLANS = ["all", "quick"] as const;
export type PlanName = (typeof PLANS)[number];

export type Load = { writers: number; writesPerSecond: number };

export type SoakedSystem = AsyncDisposable & {
  world: World;
  system: System;
  bus: GuestBus;
  repository: Repository;
  /** Of the restores: where the stores' programs lie. */
  tools: Tools;
  /** For restored trees; servers that do not run as root can reach it. */
  scratch: string;
  sample: () => Sample;
  /** What the application has noted, from the newest turn of its journal's file before this one on. */
  journal: () => JournalEntry[];
  /** The application ends and begins anew, with another manner or load. Stores that it does not name it no longer writes to. */
  restartSample: (manner: HookManner, load: Load, plan: PlanName) => Promise<void>;
};

export type SoakOptions = { scale: number; load: Load; leaseTtlMs: number };

const HONEST: HookManner = { manner: "honest" };
/** More than the sample's own plan gives: a soak runs on machines that are busy, and judges order, not speed. */
const CUT = { ttl: "40s", budget: "20s" };
const SILENCE_MS = 90_000;
const FILES_BUDGET = { ms: 19_000 };

/** The five stores, the sample writing to all of them, and the whole system, each service in a process of its own. */
export async function startSoakedSystem(world: World, options: SoakOptions): Promise<SoakedSystem> {
  await using starting = new AsyncDisposableStack();
  const { home } = world;
  await mkdir(home, { recursive: true });
  const say = world.errorLine;
  const stores = starting.use(await startStores(home, world.partsDirectory, say));
  const [left] = stores.skipped;
  if (left !== undefined) {
    throw new StillpointError("STORE_NOT_INSTALLED", {
      what: "A store of the five is missing",
      where: left.id,
      why: left.reason,
    });
  }
  const connectionsOf: Record<PlanName, Connections> = { all: stores.connections, quick: quick(stores.connections) };
  await seedSample({ connections: stores.connections, scale: options.scale });

  const hookToken = randomBytes(24).toString("base64url");
  const port = await freePort();
  const startWriting = (hook: HookManner, load: Load, plan: PlanName) =>
    startSample({
      ...load,
      connections: connectionsOf[plan],
      stateDirectory: join(home, "sample-state"),
      scale: options.scale,
      port,
      token: hookToken,
      hook,
      say,
    });
  let sample = await startWriting(HONEST, options.load, "all");
  starting.defer(() => sample.stop());

  const planFile = join(home, "plan.yaml");
  await writeFile(planFile, planText(connectionsOf, stores.neo4jData, sample.hookUrl));
  const workDirectory = await directoryForServers(join(home, "agents"));
  const system = starting.use(
    await startSystem(world, {
      directory: home,
      planFile,
      isolate: true,
      restPort: await freePort(),
      partsDirectory: world.partsDirectory,
      environment: {
        ...stores.secrets,
        ...stores.tools,
        [SECRETS.hook]: hookToken,
        STILLPOINT_LEASE_TTL_MS: String(options.leaseTtlMs),
        STILLPOINT_SILENCE_MS: String(SILENCE_MS),
        STILLPOINT_WORK_DIRECTORY: workDirectory,
      },
    }),
  );
  const bus = starting.use(await reachBus(world));
  const objects = starting.use(await openObjectStore(system.repository, { environment: {} }));
  const passphrase = await readKeyFile(system.keyFile);
  const repository = starting.use(await openRepository(objects, { passphrase, threads: 1 }));
  const stack = starting.move();
  return {
    world,
    system,
    bus,
    repository,
    tools: toolsOf(agentSettings.parse({ ...stores.tools, STILLPOINT_WORK_DIRECTORY: workDirectory })),
    scratch: await directoryForServers(join(home, "restored")),
    sample: () => sample,
    journal: () => [...readJournal(`${sample.journalPath}.1`), ...readJournal(sample.journalPath)],
    async restartSample(manner, load, plan) {
      await sample.stop();
      sample = await startWriting(manner, load, plan);
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

function quick({ postgres, sqlite, files }: Connections): Connections {
  return { ...(postgres && { postgres }), ...(sqlite && { sqlite }), ...(files && { files }) };
}

/** One plan for each choice of stores. What proves their points is this program, so the validator is not asked. */
function planText(
  connectionsOf: Record<PlanName, Connections>,
  neo4jData: string | undefined,
  hookUrl: string,
): string {
  const plans = PLANS.map((planName) => {
    const { plans: made } = samplePlan({
      planName,
      connections: connectionsOf[planName],
      hookUrl,
      secrets: SECRETS,
      schedule: [],
      ...(neo4jData === undefined ? {} : { neo4jData }),
    });
    const plan = made[planName];
    if (plan === undefined) throw new Error(`the sample made no plan ${planName}`);
    const { uploads, ...sources } = plan.sources;
    const patient = uploads === undefined ? {} : { uploads: { ...uploads, budget: FILES_BUDGET } };
    return [planName, { ...plan, sources: { ...sources, ...patient }, cut: { ...plan.cut, ...CUT }, validate: false }];
  });
  return JSON.stringify({ plans: Object.fromEntries(plans) }); // JSON is YAML
}
