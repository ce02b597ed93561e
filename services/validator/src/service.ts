import { on } from "@stillpoint/bus/project";
import { validatePoint } from "@stillpoint/contracts/commands";
import { StillpointError } from "@stillpoint/contracts/errors";
import { pointSealed } from "@stillpoint/contracts/events";
import { uuidv8 } from "@stillpoint/contracts/names";
import { BUCKETS } from "@stillpoint/contracts/topology";
import { vaultPoint, vaultSealProof } from "@stillpoint/contracts/vault";
import { defineService } from "@stillpoint/service/define-service";
import { validatorConfig } from "./config.ts";
import { provePoint } from "./prove.ts";
import { replayRateOf } from "./replay-rate.ts";

const LEASE_RETRY_MS = 1_000;
const VAULT_PATIENCE = { timeoutMs: 30_000, patienceMs: 120_000 };

/** Which points to prove, and what the rehearsals' answers come to. */
export const service = defineService({
  name: "validator",
  config: validatorConfig,
  async start(context, resources) {
    const { bus, config, clock } = context;
    const revisions = await bus.bucket(BUCKETS.revisions);
    const agents = await bus.bucket(BUCKETS.agents);
    const rates = await bus.bucket(BUCKETS.replayRates);
    const planOf = async (plan: string, revision: string) => {
      const found = await revisions.get(`${plan}.${revision}`);
      if (found !== undefined) return found.value.definition;
      throw new StillpointError("PLAN_UNKNOWN", {
        what: "Cannot prove the point",
        where: `${plan}, revision ${revision}`,
        why: "that revision is not known any more",
      });
    };

    resources.use(
      await bus.takeCommands(
        validatePoint,
        { concurrency: config.STILLPOINT_PROOFS_AT_ONCE, ackWaitMs: context.ackWaitMs },
        async ({ body, signal, delay }) => {
          const { pointId, proofId } = body;
          await using lease = await bus.acquireLease(`validate.${pointId}`, `validator-${proofId}`);
          if (lease === undefined) return delay(LEASE_RETRY_MS);
          const { point, proofs } = await bus.request(vaultPoint, {}, { pointId }, VAULT_PATIENCE);
          if (proofs.some((proof) => proof.proofId === proofId)) return;
          const proof = await provePoint(proofId, point, await planOf(point.plan, point.revision), {
            bus,
            config,
            agents,
            replayed: async (plan, { source, replay, at }) => {
              const bytesPerSecond = replayRateOf(replay);
              if (bytesPerSecond === undefined) return;
              await rates.put(`${plan}.${source}`, { bytesPerSecond, at });
            },
            now: clock.now,
            monotonicMs: clock.monotonicMs,
            signal: AbortSignal.any([signal, lease.lost]),
          });
          await bus.request(vaultSealProof, {}, { proof }, VAULT_PATIENCE);
        },
      ),
    );
    resources.use(
      await bus.projectEvents("validator", [
        on(pointSealed, async ({ body: { point } }) => {
          const plan = await planOf(point.plan, point.revision);
          if (!plan.validate) return;
          const { pointId } = point;
          const proofId = uuidv8(Date.parse(point.sealedAt), "proof", pointId);
          const command = { pointId, proofId, plan: point.plan, requestedBy: "seal" as const };
          await bus.publishCommand(validatePoint, { pointId }, command, { messageId: proofId, whenGone: "leave" });
        }),
      ]),
    );
  },
});
