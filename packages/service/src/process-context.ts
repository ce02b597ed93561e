import { randomBytes } from "node:crypto";
import type { Bus } from "@stillpoint/bus/bus";
import type { Clock } from "@stillpoint/contracts/clock";
import { resolveSecret } from "@stillpoint/contracts/secret";
import type { InstallationSettings } from "@stillpoint/contracts/settings";
import type { Logger } from "pino";
import { Counter, type Registry } from "prom-client";
import type { ProcessContext } from "./define-service.ts";
import type { EnvironmentReaders } from "./environment.ts";
import { every } from "./every.ts";

/** Each service has its own logger; everything else is the process's. */
export function processContext(
  settings: Readonly<InstallationSettings>,
  bus: Bus,
  clock: Clock,
  readers: EnvironmentReaders,
  registry: Registry,
  signal: AbortSignal,
) {
  const failures = new Counter({
    name: "stillpoint_task_failures_total",
    help: "Failures of what a service does again and again",
    labelNames: ["service"],
    registers: [registry],
  });
  return (name: string, parent: Logger, readyWhen: ProcessContext["readyWhen"]): ProcessContext => {
    const log = parent.child({ service: name });
    return {
      bus,
      log,
      clock,
      random: (count) => randomBytes(count),
      environment: readers.environment,
      secret: (reference) => resolveSecret(reference, readers),
      signal,
      leaseTtlMs: settings.STILLPOINT_LEASE_TTL_MS,
      ackWaitMs: settings.STILLPOINT_LEASE_TTL_MS,
      registry,
      every: (ms, task) => every({ clock, log, failed: () => failures.inc({ service: name }) }, ms, task),
      readyWhen,
    };
  };
}
