import { readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import type { Bus } from "@stillpoint/bus/bus";
import type { Clock } from "@stillpoint/contracts/clock";
import { StillpointError, toStillpointError } from "@stillpoint/contracts/errors";
import { type InstallationSettings, installationSettings } from "@stillpoint/contracts/settings";
import type { Logger } from "pino";
import { collectDefaultMetrics, Registry } from "prom-client";
import type { PreparedService, Service } from "./define-service.ts";
import { type BadSetting, type EnvironmentReaders, parseSettings, settingsError } from "./environment.ts";
import { giveWay } from "./give-way.ts";
import { serveHealth } from "./health.ts";
import { createLogger, standardError } from "./logger.ts";
import { openProcessBus } from "./process-bus.ts";
import { processContext } from "./process-context.ts";
import { type StopReason, watchForStop } from "./stop-reason.ts";

const clock: Clock = { now: () => Date.now(), monotonicMs: () => performance.now() };

type Named = { name: string; service: PreparedService };
type Prepared = { settings: Readonly<InstallationSettings>; services: Named[] };

/**
 * Runs services in this process until it is told to stop, and ends the process: the one place with exit codes. 0 after a
 * stop, the error's own code where a start failed, 1 where something broke in the middle, 130 on a second signal.
 */
export async function runServices(services: readonly Service[]): Promise<never> {
  const label = services.length === 1 ? (services[0]?.name ?? "stillpoint") : "stillpoint";
  if (process.argv.includes("--check")) {
    // Everything was loaded to get here: modules resolve, schemas could be made.
    process.stdout.write(`${services.map(({ name }) => name).join(", ")}: ok\n`);
    process.exit(0);
  }
  const environment = Object.freeze({ ...process.env });
  const readers = { environment, readFile: (path: string) => readFileSync(path, "utf8") };
  const destination = standardError();
  let log = createLogger(label, "info", destination);
  endOnBug(() => log);
  try {
    const prepared = prepare(services, readers);
    log = createLogger(label, prepared.settings.STILLPOINT_LOG_LEVEL, destination);
    if (prepared.settings.STILLPOINT_NICE > 0) await giveWay(prepared.settings.STILLPOINT_NICE);
    process.exit(await live(prepared, label, readers, log));
  } catch (error) {
    const failure = toStillpointError(error, "Cannot start");
    const stack = failure.code === "INTERNAL" && error instanceof Error ? { stack: error.stack } : {};
    log.fatal({ error: failure.toBody(), ...stack }, failure.message);
    process.exit(failure.exit);
  }
}

/** A broken promise that nobody looks at leaves the process in a state that nobody has thought of. */
function endOnBug(log: () => Logger): void {
  const end = (kind: string) => (error: unknown) => {
    log().fatal({ why: error instanceof Error ? (error.stack ?? error.message) : String(error) }, kind);
    process.exit(1);
  };
  process.on("unhandledRejection", end("unhandled rejection"));
  process.on("uncaughtException", end("uncaught exception"));
}

/** Every bad setting of every service is named at once. */
function prepare(services: readonly Service[], readers: EnvironmentReaders): Prepared {
  const bad: BadSetting[] = [];
  const ready: Named[] = [];
  const common = parseSettings(installationSettings, readers);
  if (common.bad !== undefined) bad.push(...common.bad);
  for (const { name, prepare: read } of services) {
    const service = read(readers);
    if ("bad" in service) bad.push(...service.bad);
    else ready.push({ name, service });
  }
  if (common.bad !== undefined || bad.length > 0) throw settingsError(bad);
  return { settings: common.settings, services: ready };
}

async function live(prepared: Prepared, label: string, readers: EnvironmentReaders, log: Logger): Promise<number> {
  const { settings } = prepared;
  using watch = watchForStop(settings.STILLPOINT_PARENT_PID, () => {
    log.warn({}, "stopped at once, by a second signal");
    process.exit(130);
  });
  const stopping = new AbortController();
  const resources = new AsyncDisposableStack();
  const waiting = new Map<string, () => boolean>();
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });

  const begin = async (): Promise<Bus> => {
    const isStarted = new Set<string>();
    for (const { name } of prepared.services) waiting.set(name, () => isStarted.has(name));
    if (settings.STILLPOINT_HEALTH_PORT !== 0) {
      const names = prepared.services.map(({ name }) => name);
      const readiness = () => {
        const waitingFor = [...waiting].filter(([, isReady]) => !isReady()).map(([name]) => name);
        return { isReady: waitingFor.length === 0, waitingFor };
      };
      const { STILLPOINT_HEALTH_HOST: host, STILLPOINT_HEALTH_PORT: port } = settings;
      resources.use(await serveHealth({ host, port, services: names, registry, readiness }));
    }
    const bus = resources.use(await openProcessBus(settings, label, clock, log, stopping.signal));
    waiting.set("nats", () => bus.isConnected());
    const context = processContext(settings, bus, clock, readers, registry, stopping.signal);
    for (const { name, service } of prepared.services) {
      const own = resources.use(new AsyncDisposableStack());
      await service.start(
        context(name, log, (what, isReady) => waiting.set(`${name}: ${what}`, isReady)),
        own,
      );
      isStarted.add(name);
      log.info({ service: name }, "started");
    }
    return bus;
  };

  let failure: unknown;
  let reason: StopReason | undefined;
  const starting = begin();
  try {
    const first = await Promise.race([starting, watch.reason]);
    reason = "type" in first ? first : await Promise.race([watch.reason, closed(first)]);
    log.info({ reason }, "stopping");
  } catch (error) {
    failure = error;
  }
  stopping.abort(new StillpointError("CANCELLED", { what: "This process is stopping" }));
  const isStopped = await stop(starting, resources, settings.STILLPOINT_STOP_WITHIN_MS, log);
  if (failure !== undefined) throw failure;
  if (reason?.type === "bus-closed") return 1;
  return isStopped ? 0 : 1;
}

async function closed(bus: Bus): Promise<StopReason> {
  const error = await bus.closed();
  return { type: "bus-closed", why: error?.message };
}

/** Last opened, first closed: takers stop and wait for what they have in hand, then ports close, then NATS drains. */
async function stop(
  starting: Promise<unknown>,
  resources: AsyncDisposableStack,
  withinMs: number,
  log: Logger,
): Promise<boolean> {
  const dispose = async () => {
    await starting.catch(() => {
      // Why it did not start is told by whoever awaited it; what it had opened is closed all the same.
    });
    await resources.disposeAsync();
    return true;
  };
  try {
    const isStopped = await Promise.race([dispose(), delay(withinMs, false, { ref: false })]);
    if (!isStopped) log.error({ withinMs }, "not stopped in time, ending anyway");
    return isStopped;
  } catch (error) {
    log.error({ why: error instanceof Error ? (error.stack ?? error.message) : String(error) }, "stop failed");
    return false;
  }
}
