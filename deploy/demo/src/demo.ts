import { followProof, followRun } from "@stillpoint/cli/follow";
import { progressBoard } from "@stillpoint/cli/progress-board";
import { reachBus } from "@stillpoint/cli/reach";
import { describePoint, describeProof, nextCommands } from "@stillpoint/cli/report";
import type { World } from "@stillpoint/cli/world";
import { StillpointError } from "@stillpoint/contracts/errors";
import { requestBackup } from "@stillpoint/contracts/people";
import { vaultList } from "@stillpoint/contracts/vault";
import { startProtectedSample } from "./protected-sample.ts";
import { demoResult } from "./result.ts";

export type DemoOptions = { json: boolean; scale: number; isolate: boolean; parts: string };

const PLAN = "demo";
const REQUEST = { timeoutMs: 10_000, patienceMs: 60_000 };

/** Brings everything up, takes one point while the sample is written to, proves it, and shows what happened. */
export async function demo(world: World, options: DemoOptions): Promise<void> {
  await using running = await startProtectedSample(world, { ...options, schedule: [] });
  await using bus = await reachBus(world);
  const newBoard = () =>
    progressBoard({
      isTerminal: world.isTerminal,
      columns: world.columns,
      write: world.error,
      monotonicMs: world.clock.monotonicMs,
    });

  world.errorLine(`one recovery point of plan ${PLAN}, while the sample is written to:`);
  const after = await bus.lastEventSequence();
  const { runId } = await bus.request(requestBackup, {}, { plan: PLAN }, REQUEST);
  const point = await followRun(bus, runId, after, newBoard(), world.signal);

  world.errorLine("its proof: every source restored into a throw-away server of its own:");
  const proof = await followProof(bus, { pointId: point.pointId }, after, newBoard(), world.signal);

  const types = new Map<string, string>();
  for (let next: string | undefined, isFirst = true; isFirst || next !== undefined; isFirst = false) {
    const page = await bus.request(
      vaultList,
      {},
      { what: "backups", ...(next === undefined ? {} : { after: next }) },
      REQUEST,
    );
    for (const backup of page.backups) types.set(backup.backupId, backup.type);
    next = page.next;
  }
  if (options.json) world.out(`${JSON.stringify(demoResult(point, proof, types, running.skipped), undefined, 2)}\n`);
  else {
    const left = running.skipped.map(({ id, reason }) => `  left out of this demo: ${id}: ${reason}`);
    world.out(
      ["", describePoint(point), ...left, "", describeProof(proof), "", nextSteps(point.pointId), ""].join("\n"),
    );
  }
  if (proof.verdict === "pass") return;
  throw new StillpointError("VERIFICATION_FAILED", {
    what: proof.verdict === "fail" ? "The point does not hold" : "The point could not be proven",
    where: point.pointId,
    why: proof.reasons.join("; "),
  });
}

/** The demo has stopped when these are read: they begin with the system that stays up. */
function nextSteps(pointId: string): string {
  return [
    "  the demo stops everything now, and keeps its data; to go on with it:",
    "    npm start            (in another terminal, then)",
    ...nextCommands(pointId).split("\n").slice(1),
  ].join("\n");
}
