import { Readable } from "node:stream";
import { StillpointError } from "@stillpoint/contracts/errors";
import { azureClasses, storageClassOfTier, tierOf } from "./azure-classes.ts";
import { type AzurePlace, azureContainer } from "./azure-client.ts";
import { azureCode, azureStatus, fromAzure } from "./azure-errors.ts";
import { azureLarge } from "./azure-large.ts";
import { azureLocks } from "./azure-locks.ts";
import { agentsFor, closeAgents, type Network } from "./network.ts";
import { objectCold, objectExists, objectMissing, objectRetained, storeUnsupported } from "./object-errors.ts";
import { assertObjectName } from "./object-name.ts";
import { bodyLength, bodyParts, type ObjectInfo, type ObjectStore } from "./object-store.ts";
import { readBody } from "./read-body.ts";
import { storeUrl } from "./store-url.ts";

export type AzureOptions = AzurePlace & {
  /** `""`, or components that end in `/`. */
  prefix: string;
  network?: Network | undefined;
  /** Names in one page of a listing. Default: as many as the server gives, 5 000. */
  namesPerPage?: number;
};

const COLD = new Set(["BlobArchived", "BlobBeingRehydrated"]);
const IMMUTABLE = new Set(["BlobImmutableDueToPolicy", "BlobImmutableDueToLegalHold"]);

/** Block blobs in a container of Azure Blob Storage. */
export function azureStore(options: AzureOptions): ObjectStore {
  const agents = agentsFor(options.network);
  const container = azureContainer(options, agents);
  const keyOf = (name: string) => options.prefix + name;
  const where = (name: string) => `azure://${options.container}/${keyOf(name)}`;
  const abort = (signal: AbortSignal | undefined) => (signal === undefined ? {} : { abortSignal: signal });

  const found = (name: string, size = 0, modified?: Date, tier?: string): ObjectInfo => ({
    name,
    size,
    modifiedMs: modified?.getTime() ?? 0,
    storageClass: storageClassOfTier(tier),
  });

  /** One page of one name: the cheapest request that a missing container and bad credentials fail. */
  async function firstPage(signal?: AbortSignal) {
    const pages = container.listBlobsFlat({ prefix: options.prefix, ...abort(signal) }).byPage({ maxPageSize: 1 });
    return (await pages.next()).value;
  }

  async function head(name: string, signal?: AbortSignal): Promise<ObjectInfo | undefined> {
    assertObjectName(name);
    try {
      const answer = await container.getBlobClient(keyOf(name)).getProperties(abort(signal));
      return found(name, answer.contentLength, answer.lastModified, answer.accessTier);
    } catch (error) {
      if (azureCode(error) === "BlobNotFound") return undefined;
      throw fromAzure(error, "Cannot look at an object", where(name));
    }
  }

  return {
    url: storeUrl("azure", { ...options, bucket: options.container }),
    head,
    locks: azureLocks(container, keyOf, where),
    classes: azureClasses(container, keyOf, where),
    large: azureLarge(container, keyOf, where),
    async put(name, body, { ifAbsent = false, retainUntilMs, storageClass, signal } = {}) {
      assertObjectName(name);
      const what = "Cannot write an object";
      try {
        await container.getBlockBlobClient(keyOf(name)).upload(() => Readable.from(bodyParts(body)), bodyLength(body), {
          ...abort(signal),
          ...(ifAbsent ? { conditions: { ifNoneMatch: "*" } } : {}),
          ...(storageClass === undefined ? {} : { tier: tierOf(storageClass) }),
          ...(retainUntilMs === undefined
            ? {}
            : { immutabilityPolicy: { expiriesOn: new Date(retainUntilMs), policyMode: "Locked" } }),
        });
      } catch (error) {
        if (ifAbsent && azureCode(error) === "BlobAlreadyExists") throw objectExists(name);
        // A condition and an immutable blob: which of the two is told first is the server's choice.
        if (IMMUTABLE.has(azureCode(error) ?? ""))
          throw ifAbsent ? objectExists(name) : objectRetained(name, "immutable");
        if (retainUntilMs !== undefined && azureStatus(error) === 400)
          throw storeUnsupported(
            where(name),
            `it was refused with its lock: ${azureCode(error)}`,
            "enable version-level immutability on the container",
          );
        throw fromAzure(error, what, where(name));
      }
    },
    async get(name, range, signal) {
      assertObjectName(name);
      signal?.throwIfAborted();
      if (range?.length === 0) return new Uint8Array(0);
      try {
        const client = container.getBlobClient(keyOf(name));
        // The library would ask again by itself when the connection breaks; that too is the retry wrapper's.
        const answer = await client.download(range?.offset ?? 0, range?.length, {
          ...abort(signal),
          maxRetryRequests: 0,
        });
        if (!(answer.readableStreamBody instanceof Readable)) throw new Error("the answer has no body");
        return await readBody(answer.readableStreamBody, answer.contentLength);
      } catch (error) {
        // The range begins behind the end: nothing is there, as in every other storage.
        if (azureStatus(error) === 416) return new Uint8Array(0);
        if (azureCode(error) === "BlobNotFound") throw objectMissing(name);
        if (COLD.has(azureCode(error) ?? "")) throw objectCold(where(name), "it is in the archive tier");
        throw fromAzure(error, "Cannot read an object", where(name));
      }
    },
    async *list(prefix, { after = "", signal } = {}) {
      try {
        const paging = options.namesPerPage === undefined ? {} : { maxPageSize: options.namesPerPage };
        for await (const page of container.listBlobsFlat({ prefix: keyOf(prefix), ...abort(signal) }).byPage(paging)) {
          for (const { name: key, properties } of page.segment.blobItems) {
            const name = key.slice(options.prefix.length);
            // Servers of older versions of the API cannot begin behind a name.
            if (name > after)
              yield found(name, properties.contentLength, properties.lastModified, properties.accessTier);
          }
        }
      } catch (error) {
        throw fromAzure(error, "Cannot list objects", where(prefix));
      }
    },
    async delete(name, signal) {
      assertObjectName(name);
      try {
        await container.getBlobClient(keyOf(name)).delete(abort(signal));
      } catch (error) {
        const code = azureCode(error) ?? "";
        if (code === "BlobNotFound") return;
        if (IMMUTABLE.has(code)) throw objectRetained(where(name), `Azure keeps it: ${code}`);
        // Credentials that may not even look are told by the look itself.
        if (azureStatus(error) === 403 && (await head(name, signal)) !== undefined)
          throw objectRetained(where(name), `Azure refuses to delete it: ${code}`);
        throw fromAzure(error, "Cannot delete an object", where(name));
      }
    },
    async now(signal) {
      const what = "Cannot ask the object store for its time";
      try {
        const ms = (await firstPage(signal))?.date?.getTime();
        if (ms !== undefined) return ms;
      } catch (error) {
        throw fromAzure(error, what, where(""));
      }
      throw new StillpointError("STORE_UNREACHABLE", { what, where: where(""), why: "the answer has no date" });
    },
    createsAtomically: () => Promise.resolve(true),
    [Symbol.asyncDispose]: async () => closeAgents(agents),
  };
}
