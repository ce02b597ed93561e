import type { AccessTier, ContainerClient } from "@azure/storage-blob";
import { azureCode, fromAzure } from "./azure-errors.ts";
import type { ObjectClasses, StorageClass, ThawState } from "./object-classes.ts";
import { objectMissing } from "./object-errors.ts";

const HOUR_MS = 3_600_000;
/** Azure's own word for a rehydration at standard priority. */
const THAW_MS = 15 * HOUR_MS;
const TIERS = { standard: "Hot", infrequent: "Cool", archive: "Cold", "deep-archive": "Archive" } as const;

export function tierOf(storageClass: StorageClass): AccessTier {
  return TIERS[storageClass];
}

export function storageClassOfTier(tier: string | undefined): StorageClass {
  if (tier === "Cool") return "infrequent";
  if (tier === "Cold") return "archive";
  return tier === "Archive" ? "deep-archive" : "standard";
}

/** Azure's access tiers. `Archive` alone is cold; a thaw moves the blob to `Hot`, where it stays until it is moved again. */
export function azureClasses(
  container: ContainerClient,
  keyOf: (name: string) => string,
  where: (name: string) => string,
): ObjectClasses {
  const about = (error: unknown, what: string, name: string) =>
    azureCode(error) === "BlobNotFound" ? objectMissing(name) : fromAzure(error, what, where(name));

  async function facts(name: string, signal?: AbortSignal): Promise<{ state: ThawState; storageClass: StorageClass }> {
    try {
      const found = await container.getBlobClient(keyOf(name)).getProperties(signal && { abortSignal: signal });
      const storageClass = storageClassOfTier(found.accessTier);
      if (storageClass !== "deep-archive") return { state: "readable", storageClass };
      return { state: found.archiveStatus === undefined ? "cold" : "thawing", storageClass };
    } catch (error) {
      throw about(error, "Cannot look at an object", name);
    }
  }
  async function setTier(name: string, storageClass: StorageClass, signal?: AbortSignal): Promise<void> {
    try {
      await container.getBlobClient(keyOf(name)).setAccessTier(tierOf(storageClass), signal && { abortSignal: signal });
    } catch (error) {
      throw about(error, "Cannot move an object to another storage class", name);
    }
  }
  return {
    async move(name, storageClass, signal) {
      if ((await facts(name, signal)).storageClass !== storageClass) await setTier(name, storageClass, signal);
    },
    async thaw(name, _keepDays, signal) {
      if ((await facts(name, signal)).state === "cold") await setTier(name, "standard", signal);
    },
    thawState: async (name, signal) => (await facts(name, signal)).state,
    thawTakesMs: (storageClass) => (storageClass === "deep-archive" ? THAW_MS : 0),
  };
}
