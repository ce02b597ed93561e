import { createHash } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import type { Bucket } from "@stillpoint/bus/bucket";
import type { Bus } from "@stillpoint/bus/bus";
import type { RandomBytes } from "@stillpoint/contracts/clock";
import { runBackup, validatePoint } from "@stillpoint/contracts/commands";
import { StillpointError } from "@stillpoint/contracts/errors";
import { toInstant, uuidv7, uuidv8 } from "@stillpoint/contracts/names";
import { BUCKETS } from "@stillpoint/contracts/topology";
import { vaultPoint } from "@stillpoint/contracts/vault";
import type { PlanBuckets } from "./publish-plans.ts";

/** What people ask for; each command is stored when the promise resolves. */
export type Asker = {
  /** The same `key` within a day is the same run. */
  backup: (plan: string, key?: string) => Promise<{ runId: string }>;
  validate: (pointId: string, key?: string) => Promise<{ proofId: string }>;
  cancel: (runId: string) => Promise<{ runId: string }>;
};

export type AskerPorts = { bus: Bus; buckets: PlanBuckets; now: () => number; random: RandomBytes };

/** How long an ended run may take to leave the queue: it says goodbye to its sessions first. */
const LEAVING_MS = 10_000;
const LEAVING_POLL_MS = 50;
const VAULT_TIMEOUT = { timeoutMs: 10_000 };

export async function createAsker({ bus, buckets, now, random }: AskerPorts): Promise<Asker> {
  const requests = await bus.bucket(BUCKETS.requests);
  const runs = await bus.bucket(BUCKETS.runs);
  const cancellations = await bus.bucket(BUCKETS.cancellations);

  async function inForce(plan: string): Promise<string> {
    const found = await buckets.plans.get(plan);
    if (found !== undefined) return found.value.revision;
    const known = await buckets.plans.keys();
    throw new StillpointError("PLAN_UNKNOWN", {
      what: "There is no such plan",
      where: `plan ${plan}`,
      why: known.length === 0 ? "no plan is in force" : `in force: ${known.join(", ")}`,
      hint: "see `stillpoint status`, and the gateway's log where a plan file was rejected",
    });
  }

  const stateOf = async (runId: string) => (await runs.get(runId))?.value.state;
  const hasEnded = async (runId: string) => ["sealed", "failed"].includes((await stateOf(runId)) ?? "");

  return {
    async backup(plan, key) {
      const revision = await inForce(plan);
      const fresh = uuidv8(now(), plan, Buffer.from(random(16)).toString("hex"));
      const runId = await remembered(requests, key === undefined ? undefined : `backup\n${plan}\n${key}`, fresh, now);
      for (let waitedMs = 0; ; waitedMs += LEAVING_POLL_MS) {
        const published = await bus.publishCommand(
          runBackup,
          { plan },
          { runId, plan, revision, entries: [], requestedBy: "person" },
          // A run that was asked for before under this key, and has ended, is not done again.
          { messageId: runId, whenGone: "leave" },
        );
        if (published.outcome !== "occupied") return { runId };
        const running = published.by.body.runId;
        // One that has ended is leaving the queue: who saw its point may ask for the next at once.
        if (!(await hasEnded(running)) || waitedMs >= LEAVING_MS) {
          throw alreadyRunning(`plan ${plan} is being backed up`, running);
        }
        await wait(LEAVING_POLL_MS);
      }
    },

    async validate(pointId, key) {
      const { point } = await bus.request(vaultPoint, {}, { pointId }, VAULT_TIMEOUT);
      const fresh = uuidv7(now(), random(10));
      const proofId = await remembered(
        requests,
        key === undefined ? undefined : `validate\n${pointId}\n${key}`,
        fresh,
        now,
      );
      const published = await bus.publishCommand(
        validatePoint,
        { pointId },
        { pointId, proofId, plan: point.plan, requestedBy: "person" },
        { messageId: proofId, whenGone: "leave" },
      );
      if (published.outcome !== "occupied") return { proofId };
      throw alreadyRunning(`point ${pointId} is being proven`, published.by.body.proofId);
    },

    async cancel(runId) {
      const state = await stateOf(runId);
      if (state === "sealed" || state === "failed") {
        throw new StillpointError("CONFLICT", {
          what: "Cannot cancel the run",
          where: runId,
          why: state === "sealed" ? "it has ended with a point" : "it has failed already",
        });
      }
      if (state === undefined && !(await isQueued(bus, buckets, runId))) {
        throw new StillpointError("RUN_UNKNOWN", { what: "There is no such run", where: runId });
      }
      await cancellations.put(runId, { at: toInstant(now()), reason: "cancelled by request" });
      return { runId };
    },
  };
}

/** `where` is the id of what is under way, so that who asked can follow that. */
function alreadyRunning(why: string, id: string): StillpointError {
  return new StillpointError("ALREADY_RUNNING", { what: "It is under way already", where: id, why });
}

/** The id that was given to the first request of this key. */
async function remembered(
  requests: Bucket<(typeof BUCKETS)["requests"]>,
  key: string | undefined,
  fresh: string,
  now: () => number,
): Promise<string> {
  if (key === undefined) return fresh;
  const created = await requests.create(createHash("sha256").update(key).digest("hex"), {
    id: fresh,
    at: toInstant(now()),
  });
  return created.written ? fresh : (created.current?.value.id ?? fresh);
}

/** A run that no orchestrator has taken yet has no state; its command is there. */
async function isQueued(bus: Bus, buckets: PlanBuckets, runId: string): Promise<boolean> {
  for (const plan of await buckets.plans.keys()) {
    if ((await bus.readCommand(runBackup, { plan }))?.body.runId === runId) return true;
  }
  return false;
}
