import { randomUUID } from "node:crypto";
import type { ContainerClient } from "@azure/storage-blob";
import { azureCode, fromAzure } from "./azure-errors.ts";
import { type LargeObjects, partBytes } from "./large-objects.ts";
import { objectExists } from "./object-errors.ts";
import { assertObjectName } from "./object-name.ts";

/** Blocks, which become a blob when their list is committed; Azure forgets what was never committed after a week. */
export function azureLarge(
  container: ContainerClient,
  keyOf: (name: string) => string,
  where: (name: string) => string,
): LargeObjects {
  const what = "Cannot write an object";
  return {
    partBytes,
    async begin(name, signal) {
      assertObjectName(name);
      const client = container.getBlockBlobClient(keyOf(name));
      const abort = signal === undefined ? {} : { abortSignal: signal };
      // Blocks belong to the name, not to who sends them: two at once must not send each other's.
      const own = randomUUID();
      const blocks: string[] = [];
      return {
        async write(part) {
          // All ids of one blob have one length.
          const id = Buffer.from(`${own}-${String(blocks.length + 1).padStart(6, "0")}`).toString("base64");
          try {
            await client.stageBlock(id, part, part.length, abort);
          } catch (error) {
            throw fromAzure(error, what, where(name));
          }
          blocks.push(id);
        },
        async finish() {
          try {
            await client.commitBlockList(blocks, { ...abort, conditions: { ifNoneMatch: "*" } });
          } catch (error) {
            if (azureCode(error) === "BlobAlreadyExists") throw objectExists(name);
            throw fromAzure(error, what, where(name));
          }
        },
        abandon: () => Promise.resolve(),
      };
    },
  };
}
