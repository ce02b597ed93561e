import { StillpointError } from "@stillpoint/contracts/errors";
import type { Neo4jSource } from "@stillpoint/contracts/source";
import type { DriverContext } from "@stillpoint/driver/driver";
import type { ShipOptions } from "@stillpoint/driver/ship";
import { cancellable, connectSource, hostAndPort } from "./connect.ts";
import { dataError } from "./file-error.ts";
import { requireOwnData } from "./own-data.ts";
import { requirePhysical, requireRetention, settingNotes } from "./requirements.ts";
import { lastCommitted } from "./server-facts.ts";
import { shipLog } from "./ship-log.ts";
import { logDirectory, neostorePath } from "./store-capture.ts";

/**
 * Ships the transaction log of the source's database: each file when it is closed, and what the open one grew by; with it goes
 * the log of the system database, in which users and rights are. `retainMostBytes` has no meaning here: the server
 * keeps its log by its own settings alone, whoever reads it.
 */
export async function shipNeo4j(source: Neo4jSource, options: ShipOptions, context: DriverContext): Promise<void> {
  const { data, url } = source;
  const where = hostAndPort(url);
  if (data === undefined) {
    throw new StillpointError("SOURCE_UNSUPPORTED", {
      what: "Cannot ship the log of a Neo4j database",
      where,
      why: "its log can only be read from the server's data directory, and the source has no `data`",
      hint: "set `data` to the directory that server.directories.data names, as this agent sees it",
    });
  }
  await cancellable(context, "Shipping was cancelled", where, shipFrom(source, data, options, context));
}

async function shipFrom(source: Neo4jSource, data: string, options: ShipOptions, context: DriverContext) {
  await using connected = await connectSource(source, context);
  const { driver, database, where, facts } = connected;
  requirePhysical(facts, where);
  requireRetention(facts, where);
  for (const note of settingNotes(facts.settings)) context.log(note);
  await requireOwnData({ ...connected, data });
  const shipped = {
    logs: logDirectory(data, database),
    treeDirectory: logDirectory("data", database),
    systemLogs: logDirectory(data, "system"),
    neostores: [neostorePath(data, database), neostorePath(data, "system")],
    committed: async () => await lastCommitted(driver, database, where),
  };
  try {
    await shipLog(shipped, options, context);
  } catch (error) {
    throw dataError(error, data);
  }
}
