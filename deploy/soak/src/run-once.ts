import { setTimeout as wait } from "node:timers/promises";
import { StillpointError } from "@stillpoint/contracts/errors";
import {
  backupStored,
  captureOpened,
  pointSealed,
  runFailed,
  runFinished,
  runStarted,
} from "@stillpoint/contracts/events";
import { submitBackup } from "@stillpoint/contracts/people";
import type { SoakedSystem } from "./soaked-system.ts";

/** What is asked for a run, and what is killed in it. */
type Running = Pick<SoakedSystem, "bus" | "world" | "system">;

/**
 * Which service is killed, and when: so long after so many of the run's events. Events tell how far a run is on any
 * machine, a clock does not.
 */
export type Kill = { service: string; afterEvents: number; thenMs: number };

export type RunEnd =
  | { how: "finished"; pointId: string }
  | { how: "failed"; reason: string }
  /** Neither a point nor a failure came of it: what no kill excuses. */
  | { how: "never ended"; reason: string };

/** Far more than any run needs: what has not ended by then never will. */
const GIVE_UP_MS = 300_000;

/**
 * Asks for a backup and waits until its run has ended, either way. The one that is killed is killed once, at its moment
 * or when the run ends before that, and is up again when this resolves.
 */
export async function runOnce(soaked: Running, plan: string, kill?: Kill): Promise<RunEnd> {
  const { bus, world } = soaked;
  const after = await bus.lastEventSequence();
  const messageId = `soak-${after}-${Buffer.from(world.random(6)).toString("hex")}`;
  // Submitted, not requested: it is kept until a gateway is there to take it.
  await bus.publishCommand(submitBackup, {}, { plan }, { messageId });
  const killer = kill === undefined ? undefined : armKill(soaked, kill);
  killer?.heard(0);
  try {
    return await untilEnded(soaked, plan, after, (events) => killer?.heard(events));
  } finally {
    await killer?.done();
  }
}

async function untilEnded(
  soaked: Running,
  plan: string,
  after: number,
  heard: (events: number) => void,
): Promise<RunEnd> {
  const { bus, world } = soaked;
  const stop = new AbortController();
  const signal = AbortSignal.any([world.signal, AbortSignal.timeout(GIVE_UP_MS), stop.signal]);
  try {
    let runId: string | undefined;
    let events = 0;
    for await (const fact of bus.followEvents(
      [runStarted, captureOpened, backupStored, pointSealed, runFinished, runFailed],
      { after, signal },
    )) {
      if (fact.type === "current") continue;
      if (fact.type === runStarted.subject && fact.body.plan === plan) runId ??= fact.body.runId;
      if (runId === undefined || runOf(fact) !== runId) continue;
      events += 1;
      heard(events);
      if (fact.type === runFinished.subject) return { how: "finished", pointId: fact.body.pointId };
      if (fact.type === runFailed.subject) {
        const { code, message } = StillpointError.fromBody(fact.body.error);
        return { how: "failed", reason: `${code}: ${message}` };
      }
    }
    world.signal.throwIfAborted();
    const what = runId === undefined ? "no run began" : `run ${runId} has not ended`;
    return { how: "never ended", reason: `${what} within ${GIVE_UP_MS / 1_000} s` };
  } finally {
    stop.abort();
  }
}

type OfARun = { body: { runId: string } | { figures: { runId: string } } | { point: { runId: string } } };

function runOf({ body }: OfARun): string {
  if ("figures" in body) return body.figures.runId;
  return "point" in body ? body.point.runId : body.runId;
}

function armKill({ system }: Running, { service, afterEvents, thenMs }: Kill) {
  const victim = system.processes.find(({ name }) => name === service);
  if (victim === undefined) throw new Error(`there is no service ${service}`);
  const ended = new AbortController();
  let killing: Promise<void> | undefined;
  const act = async () => {
    await wait(thenMs, undefined, { signal: ended.signal }).catch((error: unknown) => {
      if (!ended.signal.aborted) throw error;
    });
    await victim.kill();
    await victim.restart();
  };
  return {
    heard(events: number): void {
      if (events < afterEvents || killing !== undefined) return;
      killing = act();
      killing.catch(() => undefined); // it may reject before it is awaited
    },
    async done(): Promise<void> {
      ended.abort();
      killing ??= act();
      await killing;
    },
  };
}

/** Services that have ended by themselves: whoever was killed has been started again. */
export async function endedByThemselves({ system }: Pick<SoakedSystem, "system">): Promise<string[]> {
  const states = system.processes.map(({ name, ended }) =>
    Promise.race([ended.then((how) => [`${name} ${how} by itself`]), Promise.resolve([])]),
  );
  return (await Promise.all(states)).flat();
}
