import { once } from "node:events";
import { access } from "node:fs/promises";
import { join, resolve } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import { locateTools } from "./locate-tools.ts";
import { holdDirectory, type System, startSystem } from "./system.ts";
import type { World } from "./world.ts";

export type UpOptions = { plans?: string; isolate: boolean; port: string };

/** Runs the system with a user's plan file until it is interrupted. */
export async function bringUp(world: World, options: UpOptions): Promise<void> {
  if (options.plans === undefined) {
    throw new StillpointError("INVALID_REQUEST", {
      what: "There is nothing to protect",
      where: "--plans",
      why: "no plan file was named",
      hint: "name yours with --plans <file>, or see the sample system with `npm start`",
    });
  }
  const planFile = resolve(options.plans);
  await access(planFile).catch((error: unknown) => {
    throw new StillpointError("PLAN_INVALID", {
      what: "Cannot read the plan file",
      where: planFile,
      why: String(error),
      cause: error,
    });
  });
  const { partsDirectory } = world;
  const directory = join(world.home, "system");
  await using _held = await holdDirectory(directory, world.errorLine);
  await using system = await startSystem(world, {
    directory,
    planFile,
    isolate: options.isolate,
    restPort: Number(options.port),
    partsDirectory,
    environment: await locateTools(partsDirectory, world.errorLine),
  });
  await stayUp(world, system);
}

/** Says what runs and where, then waits for Ctrl-C, or for a process that ends by itself. */
export async function stayUp(world: World, system: System): Promise<void> {
  world.out(
    [
      "Stillpoint is up.",
      `  REST and its documentation  ${system.rest}/api/docs`,
      `  NATS                        ${system.nats}`,
      `  repository                  ${system.repository}`,
      `  processes                   ${system.processes.map(({ name, pid }) => `${name} ${pid}`).join(", ")}`,
      "  try: npm run stillpoint -- status    Ctrl-C stops everything",
      "",
    ].join("\n"),
  );
  const interrupted = once(world.signal, "abort").then(() => undefined);
  const broken = Promise.race(system.processes.map(async ({ name, ended }) => `${name} ${await ended}`));
  const how = world.signal.aborted ? undefined : await Promise.race([interrupted, broken]);
  if (how !== undefined) {
    throw new StillpointError("INTERNAL", {
      what: "A process of the system ended",
      where: how,
      hint: `see ${system.logs}`,
    });
  }
  world.errorLine("stopping …");
}
