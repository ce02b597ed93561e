import { StillpointError } from "@stillpoint/contracts/errors";
import type { Lease } from "../format/documents.ts";
import { objectName } from "../format/kinds.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { dropLease, putLease, type StoredLease } from "./lease-log.ts";

/** Of a writer and a reader. One that died holds a sweep up for so long, and one that is busy must come round twice in it. */
export const LEASE_MS = 3_600_000;
/** It is renewed when this part of its length has passed, so that some tries may fail before half of it has. */
const RENEWALS = 6;

export type LeaseTerms = Pick<Lease, "role" | "generation"> & { backups?: string[] };
type LeaseContext = Pick<RepositoryContext, "store" | "ring" | "random" | "leaseMs">;

export function leaseLost(where: string, why: string): StillpointError {
  return new StillpointError("LEASE_LOST", {
    what: "Stopped, so as not to lean on what may be deleted",
    where,
    why,
    hint: "do it again; the data that is stored already is not stored twice",
  });
}

/** A holder's lease: each renewal is a further object, and the one before it goes. */
export async function renewedLease(context: LeaseContext, terms: LeaseTerms, signal?: AbortSignal) {
  const holder = `${terms.role}-${Buffer.from(context.random(16)).toString("hex")}`;
  const lengthMs = context.leaseMs;
  const document = (sequence: number, generation: number, sinceMs?: number): Lease => ({
    holder,
    sequence,
    role: terms.role,
    generation,
    backups: terms.backups ?? [],
    lengthMs,
    ...(sinceMs === undefined ? {} : { sinceMs }),
  });
  let last: StoredLease = await putLease(context, document(1, terms.generation), signal);
  const sinceMs = last.storedMs;

  return {
    get generation() {
      return last.generation;
    },
    /** How often it should be renewed. */
    renewMs: lengthMs / RENEWALS,
    stopMs: lengthMs / 2,
    /** LEASE_LOST where half its length has passed by the storage's clock, or it was taken away. */
    async assertAlive(): Promise<void> {
      const name = objectName("leases", last.id);
      const found = await context.store.head(name, signal);
      // Another's of the same name is not ours.
      if (found?.modifiedMs !== last.storedMs) throw leaseLost(name, "the lease is gone");
      if ((await context.store.now(signal)) - found.modifiedMs >= lengthMs / 2)
        throw leaseLost(name, `it was not renewed within ${lengthMs / 2} ms, half of its length`);
    },
    async renew(generation: number): Promise<void> {
      const before = last;
      last = await putLease(context, document(before.sequence + 1, generation, sinceMs), signal);
      await dropLease(context, before.id);
      if (last.storedMs - before.storedMs >= lengthMs / 2)
        throw leaseLost(objectName("leases", last.id), "it was renewed too late");
    },
    end: () => dropLease(context, last.id),
  };
}
export type RenewedLease = Awaited<ReturnType<typeof renewedLease>>;
