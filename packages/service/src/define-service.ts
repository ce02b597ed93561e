import type { Bus } from "@stillpoint/bus/bus";
import type { Log } from "@stillpoint/bus/log";
import type { Clock, RandomBytes } from "@stillpoint/contracts/clock";
import type { Secret } from "@stillpoint/contracts/secret";
import type { Registry } from "prom-client";
import type { z } from "zod";
import { type BadSetting, type Environment, type EnvironmentReaders, parseSettings } from "./environment.ts";

/** What a process gives to each of its services. */
export type ProcessContext = {
  bus: Bus;
  log: Log;
  clock: Clock;
  random: RandomBytes;
  /** The process's environment as it was at the start; for secret references and libraries that ask for it. */
  environment: Environment;
  /** Looks a reference up, `${env:NAME}` or `${file:/path}`, where this process runs. */
  secret: (reference: string) => Secret;
  /** Fires when the process begins to stop. */
  signal: AbortSignal;
  /** A lease that is not renewed for this long is gone. */
  leaseTtlMs: number;
  /** A taker of commands that is silent for this long has crashed. */
  ackWaitMs: number;
  /** The process's metrics; never prom-client's global ones. */
  registry: Registry;
  /** `task` again and again with a pause of `ms`; failures are logged and counted. Give it to `resources.use`. */
  every: (ms: number, task: (now: number) => Promise<unknown> | unknown) => AsyncDisposable;
  /** Until `isReady` says true, /ready says 503 and names it. */
  readyWhen: (name: string, isReady: () => boolean) => void;
};

export type ServiceContext<Config> = ProcessContext & { name: string; config: Readonly<Config> };

export type ServiceDefinition<Schema extends z.ZodObject> = {
  name: string;
  /** Environment variables, all named STILLPOINT_…; shared ones are in contracts/settings.ts. */
  config: Schema;
  /** Resolves when the service works. What it opens goes on `resources`: the last opened is the first to be closed. */
  start: (context: ServiceContext<z.output<Schema>>, resources: AsyncDisposableStack) => Promise<void>;
};

/** A service with its configuration read, ready to be started. */
export type PreparedService = { start: (context: ProcessContext, resources: AsyncDisposableStack) => Promise<void> };

export type Service = {
  name: string;
  prepare: (readers: EnvironmentReaders) => PreparedService | { bad: BadSetting[] };
};

export function defineService<Schema extends z.ZodObject>(definition: ServiceDefinition<Schema>): Service {
  const { name } = definition;
  return {
    name,
    prepare: (readers) => {
      const parsed = parseSettings(definition.config, readers);
      if (parsed.bad !== undefined) return { bad: parsed.bad };
      return {
        start: (context, resources) => definition.start({ ...context, name, config: parsed.settings }, resources),
      };
    },
  };
}
