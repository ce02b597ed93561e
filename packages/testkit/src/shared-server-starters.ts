import { ensureAzurite } from "@stillpoint/parts/azurite-part";
import { startAzurite } from "@stillpoint/parts/azurite-server";
import { ensureFakeGcs } from "@stillpoint/parts/fake-gcs-part";
import { startFakeGcs } from "@stillpoint/parts/fake-gcs-server";
import { ensureNeo4j } from "@stillpoint/parts/neo4j-part";
import { startNeo4j } from "@stillpoint/parts/neo4j-server";
import type { PartOptions } from "@stillpoint/parts/part-options";
import { ensurePostgres } from "@stillpoint/parts/postgres-part";
import { startPostgres } from "@stillpoint/parts/postgres-server";
import { ensureQdrantDouble } from "@stillpoint/parts/qdrant-part";
import { startQdrant } from "@stillpoint/parts/qdrant-server";
import { ensureVersitygw } from "@stillpoint/parts/versitygw-part";
import { startVersitygw } from "@stillpoint/parts/versitygw-server";
import { PARTS_DIRECTORY, QDRANT_DOUBLE_DIRECTORY } from "./parts-directory.ts";

type Started = AsyncDisposable & { readonly facts: object };

/** Every server that test files may share: how it starts, and which facts about it travel. */
export const starters: Readonly<Record<string, (dir: string) => Promise<Started>>> = {
  postgres: async (dir) => withFacts(await startPostgres({ part: await ensurePostgres(parts), dir })),
  // A log of many small files: whoever reads it meets its rotation.
  neo4j: async (dir) =>
    withFacts(
      await startNeo4j({ part: await ensureNeo4j(parts), dir, settings: { "db.tx_log.rotation.size": "256k" } }),
    ),
  s3: async (dir) => withFacts(await startVersitygw({ part: await ensureVersitygw(parts), dir })),
  azure: async (dir) => withFacts(await startAzurite({ part: await ensureAzurite(parts), dir })),
  gcs: async (dir) => withFacts(await startFakeGcs({ part: await ensureFakeGcs(parts), dir })),
  "qdrant-double": async (dir) =>
    withFacts(await startQdrant({ part: await ensureQdrantDouble(parts, QDRANT_DOUBLE_DIRECTORY), dir })),
};

const parts: PartOptions = { directory: PARTS_DIRECTORY, log: (line) => process.stderr.write(`${line}\n`) };

/** Functions do not travel: JSON leaves them out. */
function withFacts<Server extends AsyncDisposable>(server: Server): Started {
  return { facts: server, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}
