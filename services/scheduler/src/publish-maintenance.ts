import type { Bucket, Entry as KeptEntry } from "@stillpoint/bus/bucket";
import type { Bus } from "@stillpoint/bus/bus";
import type { Log } from "@stillpoint/bus/log";
import { maintainRepository } from "@stillpoint/contracts/commands";
import type { MaintenanceTask } from "@stillpoint/contracts/maintenance";
import { toInstant, uuidv8 } from "@stillpoint/contracts/names";
import type { BUCKETS } from "@stillpoint/contracts/topology";
import type { Entry } from "@stillpoint/schedule/schedule";

export type Caretaker = {
  bus: Bus;
  log: Log;
  ticks: Bucket<(typeof BUCKETS)["maintenanceTicks"]>;
  /** What this process knows of each task's tick, so that the bucket is read when something is due and not each second. */
  through: Map<MaintenanceTask, number>;
};

/** See publish-due.ts: here too a clock that was far ahead must not silence a task until it is right. */
const FAR_AHEAD_MS = 86_400_000;

/**
 * Asks for a task whose time has come: once for all instants that were missed while nobody looked, and not while it is
 * under way still. A task that is seen for the first time has missed nothing.
 */
export async function publishMaintenance(
  { bus, log, ticks, through }: Caretaker,
  task: MaintenanceTask,
  entry: Entry,
  now: number,
): Promise<void> {
  const slot = entry.lastSlot(now);
  if (slot === undefined || slot <= (through.get(task) ?? Number.NEGATIVE_INFINITY)) return;
  const known = await ticks.get(task);
  const knownMs = known === undefined ? Number.NEGATIVE_INFINITY : Date.parse(known.value.through);
  const isAhead = knownMs > now + FAR_AHEAD_MS;
  if (isAhead) log.error({ task, through: known?.value.through }, "the clock was far ahead when this task was ticked");
  if (known === undefined || isAhead) return remember(ticks, through, task, slot, known);
  if (slot <= knownMs) {
    through.set(task, knownMs);
    return;
  }
  const taskId = uuidv8(slot, "maintain", task);
  const command = { taskId, task, dueAt: toInstant(slot), requestedBy: "schedule" as const };
  const { outcome } = await bus.publishCommand(maintainRepository, { task }, command, {
    messageId: taskId,
    whenGone: "leave",
  });
  log.info({ task, instant: toInstant(slot) }, `maintenance ${outcome}`);
  await remember(ticks, through, task, slot, known);
}

/** A conflict means that another replica wrote the same. */
async function remember(
  ticks: Caretaker["ticks"],
  through: Caretaker["through"],
  task: MaintenanceTask,
  slot: number,
  known: KeptEntry<{ through: string }> | undefined,
): Promise<void> {
  const value = { through: toInstant(slot) };
  if (known === undefined) await ticks.create(task, value);
  else await ticks.update(task, value, known.revision);
  through.set(task, slot);
}
