import { randomBytes } from "node:crypto";
import { type Bus, openBus } from "@stillpoint/bus/bus";
import type { Log } from "@stillpoint/bus/log";
import type { Clock } from "@stillpoint/contracts/clock";
import { resolveSecret } from "@stillpoint/contracts/secret";
import type { ProcessContext, Service } from "@stillpoint/service/define-service";
import { settingsError } from "@stillpoint/service/environment";
import { every } from "@stillpoint/service/every";
import { Registry } from "prom-client";

export type LogLine = { level: string; fields: Record<string, unknown>; message: string };

const clock: Clock = { now: () => Date.now(), monotonicMs: () => performance.now() };
const LEASE_TTL_MS = 30_000;

function recordingLog(lines: LogLine[]): Log {
  const at = (level: string) => (fields: Record<string, unknown>, message: string) => {
    lines.push({ level, fields, message });
  };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** A connection of the test's own, as a service has one. */
export function testBus(
  nats: { url: string },
  rest: { name?: string; lines?: LogLine[]; leaseTtlMs?: number } = {},
): Promise<Bus> {
  return openBus({
    servers: [nats.url],
    name: rest.name ?? "test",
    log: recordingLog(rest.lines ?? []),
    clock,
    random: (count) => randomBytes(count),
    leaseTtlMs: rest.leaseTtlMs ?? LEASE_TTL_MS,
    replicas: 1,
  });
}

export type InProcessService = AsyncDisposable & {
  readonly bus: Bus;
  readonly lines: readonly LogLine[];
  /** What /metrics answers. */
  metrics: () => Promise<string>;
};

/**
 * A service inside of the test's own process, with a bus of its own, for tests that look at what it does; that it starts
 * under node alone is tried elsewhere. Disposing stops it as a signal would.
 */
export async function inProcessService(
  service: Service,
  nats: { url: string },
  settings: Readonly<Record<string, string>>,
  rest: { clock?: Clock; leaseTtlMs?: number } = {},
): Promise<InProcessService> {
  await using opened = new AsyncDisposableStack();
  const readers = { environment: settings, readFile: noFiles };
  const prepared = service.prepare(readers);
  if ("bad" in prepared) throw settingsError(prepared.bad);
  const lines: LogLine[] = [];
  const log = recordingLog(lines);
  const leaseTtlMs = rest.leaseTtlMs ?? LEASE_TTL_MS;
  const bus = opened.use(await testBus(nats, { name: service.name, lines, leaseTtlMs }));
  const stopping = new AbortController();
  const registry = new Registry();
  const context: ProcessContext = {
    bus,
    log,
    clock: rest.clock ?? clock,
    random: (count) => randomBytes(count),
    environment: settings,
    secret: (reference) => resolveSecret(reference, readers),
    signal: stopping.signal,
    leaseTtlMs,
    ackWaitMs: leaseTtlMs,
    registry,
    every: (ms, task) => every({ clock: rest.clock ?? clock, log, failed: () => {} }, ms, task),
    readyWhen: () => {},
  };
  await prepared.start(context, opened.use(new AsyncDisposableStack()));
  const resources = opened.move();
  return {
    bus,
    lines,
    metrics: () => registry.metrics(),
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await resources.disposeAsync();
    },
  };
}

function noFiles(path: string): string {
  throw new Error(`a test's service reads no files: ${path}`);
}
