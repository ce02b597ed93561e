import { StillpointError } from "@stillpoint/contracts/errors";
import type { BoltSource } from "./bolt-source.ts";
import { dataError } from "./file-error.ts";
import { neostorePath } from "./store-capture.ts";
import { readDatabaseId } from "./store-id.ts";

export type PhysicalSource = BoltSource & {
  /** The server's data directory, as this process sees it. */
  data: string;
};

/** Refuses a directory that cannot be read, or holds another database than the one the server serves. */
export async function requireOwnData({
  data,
  database,
  where,
  facts,
}: Omit<PhysicalSource, "description">): Promise<void> {
  const databaseId = await readDatabaseId(neostorePath(data, database)).catch((error: unknown) => {
    throw dataError(error, data);
  });
  if (databaseId === facts.databaseId) return;
  throw new StillpointError("SOURCE_UNSUPPORTED", {
    what: "The data directory is not the server's",
    where: data,
    why: `it holds the database ${databaseId ?? "of unknown id"}, and the server at ${where} serves ${facts.databaseId}`,
    hint: "`data` must name the directory that server.directories.data names, as this agent sees it",
  });
}
