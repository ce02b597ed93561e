import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { TargetWorld } from "./open-target.ts";
import type { Environment } from "./store-credentials.ts";

/** The machine's own files, clocks and chance, for the edge of a process; what is given goes before it. */
export function targetWorld(environment: Environment, given: Partial<TargetWorld> = {}): TargetWorld {
  return {
    environment,
    readFile: (path) => readFileSync(path, "utf8"),
    now: Date.now,
    monotonicMs: performance.now.bind(performance),
    random: Math.random,
    sleep: async (ms, signal) => {
      await sleep(ms, undefined, signal === undefined ? {} : { signal });
    },
    ...given,
  };
}
