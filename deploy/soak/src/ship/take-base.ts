import { PLAN, type ShippedSystem, until } from "@stillpoint/bench/ship/shipped-system";
import { followRun } from "@stillpoint/cli/follow";
import { progressBoard } from "@stillpoint/cli/progress-board";
import { requestBackup } from "@stillpoint/contracts/people";

const WITHIN_MS = 240_000;

/** A point is taken, and what is newest of each source's log stands on a base. */
export async function takeBase({ bus, world, log }: ShippedSystem, sources: readonly string[]): Promise<void> {
  const after = await bus.lastEventSequence();
  const { runId } = await bus.request(requestBackup, {}, { plan: PLAN }, { timeoutMs: 10_000, patienceMs: 60_000 });
  const board = progressBoard({
    isTerminal: false,
    columns: 100,
    write: () => undefined,
    monotonicMs: world.clock.monotonicMs,
  });
  await followRun(bus, runId, after, board, AbortSignal.any([world.signal, AbortSignal.timeout(WITHIN_MS)]));
  for (const source of sources)
    await until(`a base serves what is newest of ${source}`, async () => (await log(source)).baseServes);
}
