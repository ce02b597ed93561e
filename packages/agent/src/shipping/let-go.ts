import { setTimeout as wait } from "node:timers/promises";
import { toStillpointError } from "@stillpoint/contracts/errors";
import type { SourceSpec } from "@stillpoint/contracts/source";
import { claimDirectory } from "@stillpoint/driver/sandbox-record";
import { driverContext } from "../driver-context.ts";
import type { AgentShared } from "../own-source.ts";
import { ownerOf } from "./ship-once.ts";

/** A source that left its plan is often a server that is gone. */
const LET_GO_WITHIN_MS = 20_000;
/** A server notices late that the shipper which has just ended reads no more. */
const PAUSES_MS = [500, 1_000, 2_000];

/** The source need keep nothing for us any more. Answers what is left behind, in words, where that could not be told to it. */
export async function letGo<Spec extends SourceSpec>(
  shared: AgentShared<Spec>,
  { plan, source, spec, lost }: { plan: string; source: string; spec: Spec; lost: AbortSignal },
): Promise<string | undefined> {
  const { driver, context } = shared;
  if (driver.letGo === undefined || spec.kind !== driver.kind) return undefined;
  const signal = AbortSignal.any([lost, AbortSignal.timeout(LET_GO_WITHIN_MS)]);
  await using directory = await claimDirectory(shared.workDirectory, "let-go");
  const about = driverContext(shared, directory.path, signal, { plan, source });
  for (let tries = 0; ; tries += 1) {
    try {
      await driver.letGo(spec, ownerOf({ plan, source }), about);
      return undefined;
    } catch (thrown) {
      const pauseMs = PAUSES_MS[tries];
      if (pauseMs !== undefined && !signal.aborted) {
        await wait(pauseMs);
        continue;
      }
      const error = toStillpointError(thrown, "Cannot let go of what the source keeps for its shipper");
      context.log.warn({ plan, source, error: error.toBody() }, "the source may keep its log for nobody");
      return `what it keeps for its shipper may be left: ${error.message}`;
    }
  }
}
