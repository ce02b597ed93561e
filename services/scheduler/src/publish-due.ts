import type { Bucket } from "@stillpoint/bus/bucket";
import type { Bus } from "@stillpoint/bus/bus";
import type { Log } from "@stillpoint/bus/log";
import { runBackup } from "@stillpoint/contracts/commands";
import { toInstant, uuidv8 } from "@stillpoint/contracts/names";
import type { TickState } from "@stillpoint/contracts/state";
import type { BUCKETS } from "@stillpoint/contracts/topology";
import type { KnownTick, PlanBook, ScheduledPlan } from "./plan-book.ts";
import { memoryAfterRefusal, memoryAfterRun, nextTick, type Tick, type TickMemory } from "./tick.ts";

export type Publisher = {
  bus: Bus;
  log: Log;
  ticks: Bucket<(typeof BUCKETS)["ticks"]>;
  book: PlanBook;
  retryMs: number;
  /** Hears what became of each tick, to count it. */
  ticked: (plan: string, outcome: "stored" | "duplicate" | "gone" | "occupied") => void;
};

/** A clock that was wrong by more than this was wrong then: what it had ticked must not silence the plan until it is right. */
const FAR_AHEAD_MS = 86_400_000;

/**
 * Publishes what is due of one plan. The run's id derives from plan and instant, and so does the message's: any number
 * of replicas ask for the same run, the server stores it once. What has been dealt with is written down afterwards by
 * compare-and-set; dying in between leaves an instant that is asked for again, and is the same run.
 */
export async function publishDue(publisher: Publisher, plan: ScheduledPlan, now: number): Promise<void> {
  const known = publisher.book.tickOf(plan.name);
  const memory = memoryOf(publisher, plan, known, now);
  const tick = nextTick(plan.entries, memory, now);
  if (tick === undefined) return;
  const published = await publishRun(publisher, plan, tick);
  publisher.ticked(plan.name, published.outcome);
  const entries = tick.due.map(({ name }) => name);
  let after: TickMemory;
  if (published.outcome === "occupied") {
    const { body } = published.by;
    const dueAt = body.dueAt === undefined ? undefined : Date.parse(body.dueAt);
    after = memoryAfterRefusal(memory, tick, { entries: body.entries, dueAt }, plan.entries, now, publisher.retryMs);
    const carried = after.carried.map(({ name }) => name);
    publisher.log.warn({ plan: plan.name, entries, carried, runId: body.runId }, "tick refused: a run is under way");
  } else {
    after = memoryAfterRun(memory, tick);
    publisher.log.info({ plan: plan.name, entries, instant: toInstant(tick.instant) }, `tick ${published.outcome}`);
  }
  await remember(publisher, plan.name, known, after);
}

async function publishRun({ bus }: Publisher, plan: ScheduledPlan, tick: Tick) {
  const runId = uuidv8(tick.instant, plan.name);
  return bus.publishCommand(
    runBackup,
    { plan: plan.name },
    {
      runId,
      plan: plan.name,
      revision: plan.revision,
      entries: tick.due.map(({ name }) => name),
      dueAt: toInstant(tick.instant),
      requestedBy: "schedule",
    },
    // A tick that another replica published, and that has been run meanwhile, is done.
    { messageId: runId, whenGone: "leave" },
  );
}

function memoryOf(publisher: Publisher, plan: ScheduledPlan, known: KnownTick | undefined, now: number): TickMemory {
  // A plan that is new has missed nothing: its first instant is the first after its acceptance.
  if (known === undefined) return { through: Math.min(plan.acceptedAt, now), carried: [] };
  const { through, carried, retryAt } = known.state;
  const memory = {
    through: Date.parse(through),
    carried: carried.map(({ entry, slot }) => ({ name: entry, slot: Date.parse(slot) })),
    retryAt: retryAt === undefined ? undefined : Date.parse(retryAt),
  };
  if (memory.through <= now + FAR_AHEAD_MS) return memory;
  publisher.log.error(
    { plan: plan.name, through },
    "the clock was far ahead when this plan was ticked: beginning anew",
  );
  return { ...memory, through: now };
}

/** A conflict means that another replica did the same: its word is on its way to us. */
async function remember(
  { ticks, book }: Publisher,
  plan: string,
  known: KnownTick | undefined,
  memory: TickMemory,
): Promise<void> {
  const state: TickState = {
    plan,
    through: toInstant(memory.through),
    carried: memory.carried.map(({ name, slot }) => ({ entry: name, slot: toInstant(slot) })),
    ...(memory.retryAt === undefined ? {} : { retryAt: toInstant(memory.retryAt) }),
  };
  const written =
    known === undefined ? await ticks.create(plan, state) : await ticks.update(plan, state, known.revision);
  if (written.written) book.learnTick(plan, { state, revision: written.revision });
  else if (written.current !== undefined) {
    book.learnTick(plan, { state: written.current.value, revision: written.current.revision });
  }
}
