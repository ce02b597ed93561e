import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stillAlive } from "@stillpoint/cli/still-alive";
import { holdDirectory, type System, startSystem } from "@stillpoint/cli/system";
import type { World } from "@stillpoint/cli/world";
import { freePort } from "@stillpoint/parts/free-port";
import { directoryForServers } from "@stillpoint/parts/server-user";
import { samplePlanText } from "@stillpoint/sample/plan";
import { type SampleProcess, seed, startSampleProcess } from "./sample-process.ts";
import { SECRETS, type SkippedStore, startStores } from "./stores.ts";

export type ProtectedSample = AsyncDisposable & { system: System; sample: SampleProcess; skipped: SkippedStore[] };

export type ProtectedSampleOptions = {
  /** What is fetched, once. */
  parts: string;
  scale: number;
  restPort?: number;
  isolate: boolean;
  /** The plan's schedule; empty: points are made when asked for. */
  schedule: string[];
};

/** The sample's stores, the sample writing to them, and Stillpoint protecting it, all on this machine. */
export async function startProtectedSample(world: World, options: ProtectedSampleOptions): Promise<ProtectedSample> {
  await using starting = new AsyncDisposableStack();
  const say = world.errorLine;
  const home = join(world.home, "sample");
  starting.use(await holdDirectory(home, say));
  say("stores:");
  const stores = starting.use(
    await stillAlive(world, "the stores are starting", () => startStores(home, options.parts, say)),
  );
  say(`sample data (scale ${options.scale}, about ${Math.round(200 * options.scale)} MB; kept for the next time):`);
  await seed(stores, options.scale, say);
  const hookToken = randomBytes(24).toString("base64url");
  const stateDirectory = join(home, "state");
  const sample = starting.use(
    await startSampleProcess(stores, { stateDirectory, hookToken, scale: options.scale }, say),
  );

  const planFile = join(home, "plan.yaml");
  const { connections, neo4jData } = stores;
  await writeFile(
    planFile,
    samplePlanText({
      connections,
      hookUrl: sample.hookUrl,
      secrets: SECRETS,
      schedule: options.schedule,
      ...(neo4jData === undefined ? {} : { neo4jData }),
    }),
  );
  say("Stillpoint:");
  const system = starting.use(
    await startSystem(world, {
      directory: home,
      planFile,
      isolate: options.isolate,
      restPort: options.restPort ?? (await freePort()),
      partsDirectory: options.parts,
      environment: {
        ...stores.secrets,
        ...stores.tools,
        [SECRETS.hook]: hookToken,
        STILLPOINT_WORK_DIRECTORY: await directoryForServers(join(home, "agents")),
      },
    }),
  );
  const stack = starting.move();
  return { system, sample, skipped: stores.skipped, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}
