import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Bus, joinBus } from "@stillpoint/bus/bus";
import { StillpointError } from "@stillpoint/contracts/errors";
import { z } from "zod";
import type { World } from "./world.ts";

export type GuestBus = Omit<Bus, "acquireLease">;

/** Where a system that `up` started on this machine answers. */
export const endpoints = z.object({ nats: z.string(), rest: z.url(), pid: z.number().int() });
export type Endpoints = z.infer<typeof endpoints>;

export function endpointsFile(home: string): string {
  return join(home, "endpoints.json");
}

/** The bus of a running system: STILLPOINT_NATS_URL, or what `up` wrote down. Throws UNREACHABLE with what to do. */
export async function reachBus(world: World): Promise<GuestBus> {
  const servers = world.environment.STILLPOINT_NATS_URL ?? (await readEndpoints(world)).nats;
  const quiet = () => undefined;
  return joinBus({
    servers: servers.split(","),
    name: "cli",
    log: {
      debug: quiet,
      info: quiet,
      warn: quiet,
      error: (fields, message) => world.errorLine(`${message} ${JSON.stringify(fields)}`),
    },
    clock: world.clock,
    random: world.random,
    connectTimeoutMs: 3_000,
  });
}

async function readEndpoints(world: World): Promise<Endpoints> {
  const file = endpointsFile(world.home);
  try {
    return endpoints.parse(JSON.parse(await readFile(file, "utf8")));
  } catch (error) {
    throw new StillpointError("UNREACHABLE", {
      what: "Cannot find a running Stillpoint",
      where: file,
      why: "no system was started here, and STILLPOINT_NATS_URL is not set",
      hint: "start one with `npm start`, or set STILLPOINT_NATS_URL",
      cause: error,
    });
  }
}
