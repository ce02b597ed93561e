import { StillpointError } from "@stillpoint/contracts/errors";
import { getDocument } from "../documents-store.ts";
import { type Lease, lease } from "../format/documents.ts";
import { objectName } from "../format/kinds.ts";
import { OBJECT_IDS } from "../format/object-ids.ts";
import { dropLease, isAlive, putLease, readLeases } from "../leases/lease-log.ts";
import { leaseLost } from "../leases/renewed-lease.ts";
import type { RepositoryContext } from "../repository-context.ts";

const HOLDER = "collector";
/** Tries to take a claim back. */
const RELEASES = 3;

/**
 * The one claim that excludes others: the collector's, and re-keying's. Of several who ask at once, one gets it, by creating an
 * object that must not be there yet; it ends by the storage's clock. ALREADY_RUNNING where somebody else has it.
 */
export async function claimExclusive(
  context: Pick<RepositoryContext, "store" | "ring" | "random" | "leaseMs">,
  what: string,
  signal?: AbortSignal,
) {
  const lengthMs = context.leaseMs;
  const token = Buffer.from(context.random(16)).toString("hex");
  const document = (sequence: number): Lease => ({
    holder: HOLDER,
    sequence,
    role: "collector",
    generation: 0,
    backups: [],
    lengthMs,
    token,
  });
  const taken = (cause?: unknown) =>
    new StillpointError("ALREADY_RUNNING", {
      what,
      where: objectName("leases", HOLDER),
      why: "a collector, or a change of keys, is at work in this repository",
      hint: `wait for it; if it died, its claim ends ${Math.round(lengthMs / 60_000)} min after its last sign of life`,
      cause,
    });
  const earlier = (await readLeases(context, signal)).filter(({ holder }) => holder === HOLDER);
  const nowMs = await context.store.now(signal);
  if (earlier.some((each) => isAlive(each, nowMs))) throw taken();
  const highest = Math.max(0, ...earlier.map(({ sequence }) => sequence));
  let last = await putLease(context, document(highest + 1), signal).catch(async (error: unknown) => {
    if (!(error instanceof StillpointError)) throw error;
    // The answer may have been lost, and the claim be there: then nobody else would get it for its whole length.
    const id = OBJECT_IDS.lease(HOLDER, highest + 1);
    const there = await getDocument(context, "leases", id, lease, signal);
    if (there?.document.token === token) await dropLease(context, id);
    throw error.code === "CONFLICT" ? taken(error) : error;
  });
  for (const { id } of earlier) await dropLease(context, id);

  return {
    /** LEASE_LOST unless the claim is certain to last for half its length from its last renewal; renews it when a sixth is over. */
    async hold(): Promise<void> {
      const name = objectName("leases", last.id);
      const found = await context.store.head(name, signal);
      const ageMs = (await context.store.now(signal)) - last.storedMs;
      if (found?.modifiedMs !== last.storedMs || ageMs >= lengthMs / 2)
        throw leaseLost(name, "the claim was not renewed in time");
      if (ageMs < lengthMs / 6) return;
      const before = last;
      last = await putLease(context, document(before.sequence + 1), signal);
      await dropLease(context, before.id);
      if (last.storedMs - before.storedMs >= lengthMs / 2) {
        await dropLease(context, last.id);
        throw leaseLost(name, "the claim was renewed too late");
      }
    },
    async [Symbol.asyncDispose](): Promise<void> {
      const name = objectName("leases", last.id);
      for (let tries = 0; tries < RELEASES; tries++)
        try {
          const found = await context.store.head(name);
          if (found?.modifiedMs !== last.storedMs) return;
          // Looked at once more: a storage may say so and keep it.
          await context.store.delete(name);
        } catch (error) {
          // What was to be done is done. A claim that cannot be taken back ends by itself.
          if (!(error instanceof StillpointError)) throw error;
        }
    },
  };
}
export type Claim = Awaited<ReturnType<typeof claimExclusive>>;
