import { StillpointError } from "@stillpoint/contracts/errors";
import { requestValidate } from "@stillpoint/contracts/people";
import { followProof } from "./follow.ts";
import { progressBoard } from "./progress-board.ts";
import { reachBus } from "./reach.ts";
import { describeProof } from "./report.ts";
import type { World } from "./world.ts";

export async function validate(world: World, pointId: string, options: { json?: boolean }): Promise<void> {
  await using bus = await reachBus(world);
  const after = await bus.lastEventSequence();
  const { proofId } = await bus.request(requestValidate, {}, { pointId }, { timeoutMs: 10_000 });
  const board = progressBoard({
    isTerminal: world.isTerminal,
    columns: world.columns,
    write: world.error,
    monotonicMs: world.clock.monotonicMs,
  });
  const proof = await followProof(bus, { pointId, proofId }, after, board, world.signal);
  world.out(options.json ? `${JSON.stringify(proof, undefined, 2)}\n` : `${describeProof(proof)}\n`);
  if (proof.verdict === "pass") return;
  throw new StillpointError("VERIFICATION_FAILED", {
    what: proof.verdict === "fail" ? "The point does not hold" : "The point could not be proven",
    where: pointId,
    why: proof.reasons.join("; "),
  });
}
