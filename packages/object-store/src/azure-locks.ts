import type { ContainerClient } from "@azure/storage-blob";
import { azureCode, fromAzure } from "./azure-errors.ts";
import { objectMissing } from "./object-errors.ts";
import type { LockState, ObjectLocks } from "./object-locks.ts";

/** Azure's immutability of single blobs (version-level immutability of the container), locked: nobody can shorten it. */
export function azureLocks(
  container: ContainerClient,
  keyOf: (name: string) => string,
  where: (name: string) => string,
): ObjectLocks {
  async function asked<Result>(name: string, call: () => Promise<Result>): Promise<Result> {
    try {
      return await call();
    } catch (error) {
      throw azureCode(error) === "BlobNotFound"
        ? objectMissing(name)
        : fromAzure(error, "Cannot lock an object", where(name));
    }
  }
  const state = (name: string, signal?: AbortSignal): Promise<LockState> =>
    asked(name, async () => {
      const found = await container.getBlobClient(keyOf(name)).getProperties(signal && { abortSignal: signal });
      const until = found.immutabilityPolicyExpiresOn?.getTime();
      const legalHold = found.legalHold ?? false;
      return until === undefined ? { legalHold } : { retainedUntilMs: until, legalHold };
    });
  return {
    state,
    available: (signal) =>
      asked("", async () => {
        const found = await container.getProperties(signal && { abortSignal: signal });
        return found.isImmutableStorageWithVersioningEnabled ?? false;
      }),
    async extend(name, untilMs, signal) {
      const { retainedUntilMs = 0 } = await state(name, signal);
      if (untilMs <= retainedUntilMs) return;
      const policy = { expiriesOn: new Date(untilMs), policyMode: "Locked" } as const;
      await asked(name, () =>
        container.getBlobClient(keyOf(name)).setImmutabilityPolicy(policy, signal && { abortSignal: signal }),
      );
    },
    async setLegalHold(name, held, signal) {
      await asked(name, () =>
        container.getBlobClient(keyOf(name)).setLegalHold(held, signal && { abortSignal: signal }),
      );
    },
  };
}
