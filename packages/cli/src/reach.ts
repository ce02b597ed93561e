import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Bus, joinBus } from "@stillpoint/bus/bus";
import { StillpointError } from "@stillpoint/contracts/errors";
import { installationSettings } from "@stillpoint/contracts/settings";
import { credentialsOf } from "@stillpoint/service/credentials";
import { parseSettings, settingsError } from "@stillpoint/service/environment";
import { z } from "zod";
import type { World } from "./world.ts";

export type GuestBus = Omit<Bus, "acquireLease">;

/** Where a system that `up` started on this machine answers. */
export const endpoints = z.object({ nats: z.string(), rest: z.url(), pid: z.number().int() });
export type Endpoints = z.infer<typeof endpoints>;

export function endpointsFile(home: string): string {
  return join(home, "endpoints.json");
}

const busSettings = installationSettings.pick({
  STILLPOINT_NATS_URL: true,
  STILLPOINT_NATS_TOKEN: true,
  STILLPOINT_NATS_NKEY: true,
  STILLPOINT_NATS_CREDS: true,
});

/**
 * The bus of a running system: STILLPOINT_NATS_URL, with credentials as a service is given them, or what `up` wrote
 * down. Throws UNREACHABLE with what to do.
 */
export async function reachBus(world: World): Promise<GuestBus> {
  const { environment } = world;
  const parsed = parseSettings(busSettings, { environment, readFile: (path) => readFileSync(path, "utf8") });
  if (parsed.bad !== undefined) throw settingsError(parsed.bad);
  const isGiven = (environment.STILLPOINT_NATS_URL ?? "") !== "";
  const quiet = () => undefined;
  return joinBus({
    servers: isGiven ? parsed.settings.STILLPOINT_NATS_URL : [(await readEndpoints(world)).nats],
    name: "cli",
    credentials: credentialsOf(parsed.settings),
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
