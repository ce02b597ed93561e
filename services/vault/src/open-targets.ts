import { namedTargets } from "@stillpoint/object-store/named-targets";
import { type OpenTargets, openTargets } from "@stillpoint/object-store/open-target";
import { targetWorld } from "@stillpoint/object-store/target-world";
import { readTargetsFile } from "@stillpoint/object-store/targets-file";
import type { ServiceContext } from "@stillpoint/service/define-service";
import type { VaultConfig } from "./config.ts";
import { storeMetrics } from "./store-metrics.ts";

/** The primary and its replicas, by a targets file, or by the URL of the primary alone. */
export async function openVaultTargets(
  context: Pick<ServiceContext<VaultConfig>, "config" | "environment" | "clock" | "registry" | "log">,
): Promise<OpenTargets> {
  const { config, environment, clock, registry, log } = context;
  const world = targetWorld(environment, {
    now: clock.now,
    monotonicMs: clock.monotonicMs,
    observe: storeMetrics(registry),
    cacheFailed: (error) => log.warn({ error }, "a target's read cache cannot be used"),
  });
  const { STILLPOINT_TARGETS_FILE: file, STILLPOINT_REPOSITORY: url = "" } = config;
  const { readFile } = world;
  return openTargets(file === undefined ? namedTargets(url, readFile) : readTargetsFile(file, readFile), world);
}
