import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import type { Clock } from "@stillpoint/contracts/clock";
import { ensureNats } from "@stillpoint/parts/nats-part";
import { type NatsServer, startNats } from "@stillpoint/parts/nats-server";
import { type Bus, type BusOptions, openBus } from "../src/bus.ts";
import { type Connection, openConnection } from "../src/connection.ts";
import type { Log } from "../src/log.ts";

export const clock: Clock = { now: () => Date.now(), monotonicMs: () => performance.now() };

export type LogLine = { level: string; fields: Record<string, unknown>; message: string };

export function recordingLog(): Log & { lines: LogLine[] } {
  const lines: LogLine[] = [];
  const at = (level: string) => (fields: Record<string, unknown>, message: string) => {
    lines.push({ level, fields, message });
  };
  return { lines, debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** A directory for one server, gone at the end. */
export async function scratch(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), "stillpoint-bus-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

export type Nats = AsyncDisposable & { server: NatsServer };

export async function testNats(settings = ""): Promise<Nats> {
  const resources = new AsyncDisposableStack();
  const { path } = resources.use(await scratch());
  const directory = join(tmpdir(), "stillpoint-parts");
  const part = await ensureNats({ directory });
  const server = resources.use(await startNats({ part, dir: path, settings }));
  return { server, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

export function optionsOf(server: { url: string }, rest: Partial<BusOptions> = {}): BusOptions {
  return {
    servers: [server.url],
    name: "test",
    log: recordingLog(),
    clock,
    random: (count) => randomBytes(count),
    leaseTtlMs: 30_000,
    replicas: 1,
    ...rest,
  };
}

export function testBus(server: { url: string }, rest: Partial<BusOptions> = {}): Promise<Bus> {
  return openBus(optionsOf(server, rest));
}

export function testConnection(server: { url: string }): Promise<Connection> {
  return openConnection(optionsOf(server));
}

/** Waits until it is true; what never comes true ends in the test's own time limit, with these words. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>, withinMs = 90_000): Promise<void> {
  const started = performance.now();
  while (!(await isSo())) {
    if (performance.now() - started > withinMs) throw new Error(`never came true: ${what}`);
    await delay(10);
  }
}

export function gate(): { open: () => void; opened: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { open: resolve, opened: promise };
}
