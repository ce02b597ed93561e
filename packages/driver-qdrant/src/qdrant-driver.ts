import type { QdrantSource } from "@stillpoint/contracts/source";
import type { Driver } from "@stillpoint/driver/driver";
import { parseBaseUrl } from "./base-url.ts";
import { openCapture } from "./capture.ts";
import { installedRuntimes, startSandbox } from "./sandbox.ts";

/** Qdrant: shard streams opened in the fence behind a gate, or snapshots that the server makes where nobody is quiet. */
export const qdrantDriver: Driver<QdrantSource> = {
  kind: "qdrant",
  open: openCapture,
  // Snapshots go into a server as they are.
  layout: () => [],
  runtimes: installedRuntimes,
  start: startSandbox,
  addresses(source) {
    return [source.url, ...(source.peers ?? [])].map((url) => {
      const { host, port } = parseBaseUrl(url);
      return `${host}:${port}`;
    });
  },
};
