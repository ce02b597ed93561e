import { ensureQdrantDouble } from "@stillpoint/parts/qdrant-part";
import { type QdrantServer, startQdrant } from "@stillpoint/parts/qdrant-server";
import { z } from "zod";
import { inOwnDirectory } from "./own-server.ts";
import { PARTS_DIRECTORY, QDRANT_DOUBLE_DIRECTORY } from "./parts-directory.ts";
import { askShared } from "./shared-servers-client.ts";

export const qdrantFacts = z.object({
  url: z.string(),
  apiKey: z.string(),
  isDouble: z.boolean(),
  storageDirectory: z.string(),
});

export type SharedQdrant = z.infer<typeof qdrantFacts>;

/** The one Qdrant test double of this test run: use collections with names of your own, and leave its switches alone. */
export async function sharedQdrantDouble(): Promise<SharedQdrant> {
  return askShared("qdrant-double", qdrantFacts);
}

/** A Qdrant test double of the test's own, for its switches, for kills and restarts. */
export async function ownQdrantDouble(
  options: { args?: readonly string[]; apiKey?: string } = {},
): Promise<QdrantServer & { readonly dir: string }> {
  const part = await ensureQdrantDouble({ directory: PARTS_DIRECTORY }, QDRANT_DOUBLE_DIRECTORY);
  return inOwnDirectory("qdrant", (dir) => startQdrant({ part, dir, ...options }));
}
