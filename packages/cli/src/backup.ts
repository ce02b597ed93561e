import { StillpointError } from "@stillpoint/contracts/errors";
import { requestBackup } from "@stillpoint/contracts/people";
import { BUCKETS } from "@stillpoint/contracts/topology";
import { followRun } from "./follow.ts";
import { progressBoard } from "./progress-board.ts";
import { type GuestBus, reachBus } from "./reach.ts";
import { describePoint, nextCommands } from "./report.ts";
import type { World } from "./world.ts";

const REQUEST = { timeoutMs: 10_000 };

export async function backUp(
  world: World,
  plan: string | undefined,
  options: { wait: boolean; json?: boolean },
): Promise<void> {
  await using bus = await reachBus(world);
  const after = await bus.lastEventSequence();
  const { runId } = await bus.request(requestBackup, {}, { plan: plan ?? (await onlyPlan(bus)) }, REQUEST);
  if (!options.wait) {
    world.out(options.json ? `${JSON.stringify({ runId })}\n` : `run ${runId}\n`);
    return;
  }
  world.errorLine(`run ${runId}`);
  const board = progressBoard({
    isTerminal: world.isTerminal,
    columns: world.columns,
    write: world.error,
    monotonicMs: world.clock.monotonicMs,
  });
  const point = await followRun(bus, runId, after, board, world.signal);
  if (options.json) world.out(`${JSON.stringify({ runId, point }, undefined, 2)}\n`);
  else world.out(`${describePoint(point)}\n\n${nextCommands(point.pointId)}\n`);
  if (point.partial) {
    throw new StillpointError("PARTIAL", {
      what: "The point is partial",
      where: point.pointId,
      why: point.skipped.map(({ source, reason }) => `${source}: ${reason}`).join("; "),
    });
  }
}

export async function onlyPlan(bus: GuestBus): Promise<string> {
  const plans = await (await bus.bucket(BUCKETS.plans)).keys();
  const [plan] = plans;
  if (plan !== undefined && plans.length === 1) return plan;
  throw new StillpointError("INVALID_REQUEST", {
    what: "Which plan?",
    why: plans.length === 0 ? "no plan was accepted yet" : `there are ${plans.join(", ")}`,
    hint: plans.length === 0 ? "see `stillpoint status`" : "name one",
  });
}
