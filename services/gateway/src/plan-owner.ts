import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Bus } from "@stillpoint/bus/bus";
import type { Log } from "@stillpoint/bus/log";
import type { PlanFileState } from "@stillpoint/contracts/rest";
import { PlanFileRejected, readPlanFile, WHOLE_FILE } from "./plan-file.ts";
import { type PlanBuckets, publishPlans, publishRejection } from "./publish-plans.ts";

export type PlanOwner = {
  state: () => PlanFileState;
  /** Looks at the file, and does what is to be done if it changed. Asked again after a failure it tries again. */
  look: () => Promise<void>;
};

export type PlanOwnerPorts = { bus: Bus; buckets: PlanBuckets; path: string; now: () => number; log: Log };

export function planOwner({ bus, buckets, path, now, log }: PlanOwnerPorts): PlanOwner {
  let state: PlanFileState = { path, state: "not-read" };
  let seen: string | undefined;
  let looked: string | undefined;

  async function accept(text: string): Promise<void> {
    const file = readPlanFile(text, path);
    const wasRejected = state.state === "rejected";
    const { changed, removed } = await publishPlans(bus, buckets, file, { now, tellAll: wasRejected });
    state = { path, state: "accepted", plans: file.plans.map(({ name }) => name) };
    log.info({ path, plans: state.plans, changed, removed }, "plan file accepted");
  }

  async function reject(rejected: PlanFileRejected, key: string): Promise<void> {
    const error = rejected.toBody();
    state = { path, state: "rejected", error };
    log.error({ path, error }, "plan file rejected");
    await publishRejection(bus, rejected, { now, key });
  }

  return {
    state: () => state,
    async look() {
      const found = await read(path);
      const key = createHash("sha256")
        .update(found.text ?? found.why)
        .digest("hex");
      // A file that is being written is taken when it has held still from one look to the next.
      const heldStill = key === looked || looked === undefined;
      looked = key;
      if (key === seen || !heldStill) return;
      try {
        if (found.text === undefined) throw new PlanFileRejected(WHOLE_FILE, { where: path, why: found.why });
        await accept(found.text);
      } catch (error) {
        if (!(error instanceof PlanFileRejected)) throw error;
        await reject(error, key);
      }
      seen = key;
    },
  };
}

async function read(path: string): Promise<{ text: string; why?: never } | { text?: never; why: string }> {
  try {
    return { text: await readFile(path, "utf8") };
  } catch (error) {
    return { why: error instanceof Error ? error.message : String(error) };
  }
}
