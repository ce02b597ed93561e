import { randomBytes } from "node:crypto";
import { type Bus, openBus } from "@stillpoint/bus/bus";
import type { Log } from "@stillpoint/bus/log";
import type { Clock } from "@stillpoint/contracts/clock";
import type { InstallationSettings } from "@stillpoint/contracts/settings";
import { credentialsOf } from "./credentials.ts";

/** The process's one connection, as its settings say. */
export function openProcessBus(
  settings: Readonly<InstallationSettings>,
  name: string,
  clock: Clock,
  log: Log,
  signal: AbortSignal,
): Promise<Bus> {
  return openBus({
    servers: settings.STILLPOINT_NATS_URL,
    name,
    log,
    clock,
    random: (count) => randomBytes(count),
    credentials: credentialsOf(settings),
    leaseTtlMs: settings.STILLPOINT_LEASE_TTL_MS,
    replicas: settings.STILLPOINT_NATS_REPLICAS,
    signal,
  });
}
