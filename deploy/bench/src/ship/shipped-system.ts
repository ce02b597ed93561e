import { randomBytes } from "node:crypto";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { type GuestBus, reachBus } from "@stillpoint/cli/reach";
import { type System, startSystem } from "@stillpoint/cli/system";
import type { World } from "@stillpoint/cli/world";
import { shippingStarted, shippingStopped } from "@stillpoint/contracts/events";
import type { PlanInput } from "@stillpoint/contracts/plan";
import { vaultLog } from "@stillpoint/contracts/vault";
import { freePort } from "@stillpoint/parts/free-port";

/** NATS, a repository and the services, with one plan that may be changed. */
export type ShippedSystem = AsyncDisposable & {
  world: World;
  system: System;
  bus: GuestBus;
  /** Puts the plan in force. */
  accept: (plan: PlanInput) => Promise<void>;
  /** The plan with which a source is shipped; resolves when its log flows, or flows no more. */
  acceptAndSee: (plan: PlanInput, source: string, seen: "started" | "stopped") => Promise<void>;
  /** What the repository holds of a source's log. */
  log: (source: string) => ReturnType<typeof askLog>;
};

export const PLAN = "shipped";
const SEEN_WITHIN_MS = 120_000;

export type ShippedOptions = {
  plan: PlanInput;
  environment: Record<string, string>;
  /** Each service in a process of its own; else the agents are one, and what is neither agent nor vault another. */
  isolate?: boolean;
};

export async function startShippedSystem(
  world: World,
  { plan, environment, isolate = true }: ShippedOptions,
): Promise<ShippedSystem> {
  await using starting = new AsyncDisposableStack();
  await mkdir(world.home, { recursive: true });
  const planFile = join(world.home, "plan.yaml");
  const accept = async (definition: PlanInput) => {
    await writeFile(`${planFile}.new`, JSON.stringify({ plans: { [PLAN]: definition } })); // JSON is YAML
    await rename(`${planFile}.new`, planFile);
  };
  await accept(plan);
  const system = starting.use(
    await startSystem(world, {
      directory: world.home,
      planFile,
      isolate,
      restPort: await freePort(),
      partsDirectory: world.partsDirectory,
      environment: { STILLPOINT_PLAN_POLL_MS: "100", ...environment },
    }),
  );
  const bus = starting.use(await reachBus(world));
  const stack = starting.move();
  return {
    world,
    system,
    bus,
    accept,
    async acceptAndSee(definition, source, seen) {
      const after = await bus.lastEventSequence();
      await accept(definition);
      const signal = AbortSignal.any([world.signal, AbortSignal.timeout(SEEN_WITHIN_MS)]);
      const events = bus.followEvents([shippingStarted, shippingStopped], { after, signal });
      const wanted = seen === "started" ? shippingStarted.subject : shippingStopped.subject;
      for await (const fact of events) {
        if (fact.type !== "current" && fact.type === wanted && fact.body.source === source) return;
      }
      throw new Error(`the log of ${source} was not ${seen} within ${SEEN_WITHIN_MS / 1_000} s`);
    },
    log: (source) => askLog(bus, source),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

function askLog(bus: GuestBus, source: string) {
  return bus.request(vaultLog, {}, { plan: PLAN, source }, { timeoutMs: 30_000, patienceMs: 60_000 });
}

/** Of a program that measures: it has a directory of its own, and nothing of the person's installation reaches it. */
export function worldIn(directory: string, partsDirectory: string, signal: AbortSignal): World {
  const quiet = () => undefined;
  return {
    environment: { PATH: process.env.PATH, TMPDIR: process.env.TMPDIR, HOME: directory },
    home: join(directory, "home"),
    partsDirectory,
    clock: { now: Date.now, monotonicMs: () => performance.now() },
    random: randomBytes,
    isTerminal: false,
    columns: 100,
    out: quiet,
    error: quiet,
    errorLine: quiet,
    person: { isThere: false, line: async () => undefined, hiddenLine: async () => undefined },
    signal,
  };
}

/** Asks until the answer is yes; the limit only turns what would hang into an error that says what was waited for. */
export async function until(what: string, isSo: () => Promise<boolean>, limitMs = SEEN_WITHIN_MS): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`waited ${limitMs / 1_000} s in vain until ${what}`);
    await wait(100);
  }
}
