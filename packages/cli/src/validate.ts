import { StillpointError } from "@stillpoint/contracts/errors";
import { uuid } from "@stillpoint/contracts/names";
import { requestValidate } from "@stillpoint/contracts/people";
import { followProof } from "./follow.ts";
import { progressBoard } from "./progress-board.ts";
import { type GuestBus, reachBus } from "./reach.ts";
import { describeProof } from "./report.ts";
import type { World } from "./world.ts";

export async function validate(world: World, pointId: string, options: { json?: boolean }): Promise<void> {
  await using bus = await reachBus(world);
  const after = await bus.lastEventSequence();
  const proofId = await askForProof(bus, pointId, world);
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

/** The id of a new proof, or of the one that is being made already. */
async function askForProof(bus: GuestBus, pointId: string, world: World): Promise<string> {
  try {
    return (await bus.request(requestValidate, {}, { pointId }, { timeoutMs: 10_000 })).proofId;
  } catch (error) {
    const running =
      error instanceof StillpointError && error.code === "ALREADY_RUNNING" ? uuid.safeParse(error.where) : undefined;
    if (running?.success !== true) throw error;
    world.errorLine(`a proof of it is being made already: ${running.data}`);
    return running.data;
  }
}
