import { z } from "zod";
import type { GcsClient } from "./gcs-client.ts";
import type { ObjectClasses, StorageClass } from "./object-classes.ts";
import { objectMissing } from "./object-errors.ts";
import type { ObjectInfo } from "./object-store.ts";

const rewritten = z.object({ rewriteToken: z.string().optional() });

const NAMES = { standard: "STANDARD", infrequent: "NEARLINE", archive: "COLDLINE", "deep-archive": "ARCHIVE" } as const;

export function gcsClassName(storageClass: StorageClass): string {
  return NAMES[storageClass];
}

export function storageClassOfGcs(name: string | undefined): StorageClass {
  if (name === "NEARLINE") return "infrequent";
  if (name === "COLDLINE") return "archive";
  return name === "ARCHIVE" ? "deep-archive" : "standard";
}

/** Every class of Google's is read at once: what is cold costs more per read, and no time. */
export function gcsClasses(
  gcs: GcsClient,
  head: (name: string, signal?: AbortSignal) => Promise<ObjectInfo | undefined>,
): ObjectClasses {
  return {
    async move(name, storageClass, signal) {
      const info = await head(name, signal);
      if (info === undefined) throw objectMissing(name);
      if (info.storageClass === storageClass) return;
      const path = gcs.objectPath(name);
      const what = "Cannot move an object to another storage class";
      let rewriteToken: string | undefined;
      do {
        const answer = await gcs.request({
          method: "POST",
          path: `${path}/rewriteTo/${path.replace("storage/v1/", "")}`,
          query: { rewriteToken },
          json: { storageClass: gcsClassName(storageClass) },
          signal,
          what,
          name,
        });
        // A copy between places takes several calls, each of which names the next.
        rewriteToken = rewritten.parse(JSON.parse(Buffer.from(answer.body).toString("utf8"))).rewriteToken;
      } while (rewriteToken !== undefined);
    },
    thaw: () => Promise.resolve(),
    thawState: () => Promise.resolve("readable"),
    thawTakesMs: () => 0,
  };
}
