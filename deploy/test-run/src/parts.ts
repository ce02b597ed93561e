import { toStillpointError } from "@stillpoint/contracts/errors";
import { installForParts } from "@stillpoint/parts/machine-packages";
import { ensureNats } from "@stillpoint/parts/nats-part";
import { ensureNeo4j } from "@stillpoint/parts/neo4j-part";
import type { PartOptions } from "@stillpoint/parts/part-options";
import { ensurePostgres } from "@stillpoint/parts/postgres-part";
import { ensureQdrantDouble } from "@stillpoint/parts/qdrant-part";
import { ensureSystemTools } from "@stillpoint/parts/system-tools";
import { ensureVersitygw } from "@stillpoint/parts/versitygw-part";
import { PARTS_DIRECTORY, QDRANT_DOUBLE_DIRECTORY } from "@stillpoint/testkit/parts-directory";

/**
 * Brings everything the tests need, at once. What cannot be had is said here, with its remedy, and counted where a test
 * needs it: nothing is skipped for want of a part.
 */
export async function bringParts(log: (line: string) => void): Promise<void> {
  const options: PartOptions = { directory: PARTS_DIRECTORY, log };
  await installForParts(["tools", "pip", "postgres", "maven"], options);
  const parts = [
    ensureSystemTools(options),
    ensureNats(options),
    ensurePostgres(options),
    ensureNeo4j(options),
    ensureVersitygw(options),
    ensureQdrantDouble(options, QDRANT_DOUBLE_DIRECTORY),
  ];
  for (const part of await Promise.allSettled(parts)) {
    if (part.status === "fulfilled") continue;
    const { message, hint } = toStillpointError(part.reason, "A part could not be brought");
    log(hint === undefined ? message : `${message}\n  ${hint}`);
  }
}
