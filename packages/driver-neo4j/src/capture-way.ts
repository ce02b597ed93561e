import { StillpointError } from "@stillpoint/contracts/errors";
import type { Neo4jSource } from "@stillpoint/contracts/source";
import type { DriverContext } from "@stillpoint/driver/driver";
import { type AdminProgram, findAdmin } from "./admin-program.ts";
import type { ConnectedSource } from "./connect.ts";
import { requirePhysical } from "./requirements.ts";
import { onlineDatabases } from "./server-facts.ts";

/** How a source is captured: from its files, by Enterprise's own tool, or over Bolt, which is the last resort. */
export type CaptureWay =
  | { by: "files"; data: string }
  | { by: "tool"; admin: AdminProgram; databases: readonly string[] }
  | { by: "bolt"; why: string };

const NO_DATA = "exported over Bolt, for `data` is not given: not at one moment, and slow to restore";
const NO_TOOL =
  "exported over Bolt, for no neo4j-admin that offers `database backup` is here (STILLPOINT_NEO4J_ADMIN): not at one moment, and slow to restore";
const BACKUP_PORT = 6362;

/** Where the server's backup service is asked. */
export function backupAddress({ url, backup }: Pick<Neo4jSource, "url" | "backup">): string {
  return backup ?? `${new URL(url).hostname}:${BACKUP_PORT}`;
}

export async function chooseWay(
  { data, database, databases }: Pick<Neo4jSource, "data" | "database" | "databases">,
  { driver, where, facts }: Pick<ConnectedSource, "driver" | "where" | "facts">,
  context: Pick<DriverContext, "tools" | "signal">,
): Promise<CaptureWay> {
  const online = databases === undefined ? [database] : await onlineDatabases(driver, where);
  const wanted = wantedDatabases(database, databases, online, where);
  if (facts.edition === "enterprise") {
    const admin = await findAdmin(context.tools, context.signal);
    if (admin?.offers.has("backup")) return { by: "tool", admin, databases: wanted };
  }
  requireOne(wanted, database, where);
  if (data === undefined) return { by: "bolt", why: facts.edition === "enterprise" ? NO_TOOL : NO_DATA };
  requirePhysical(facts, where);
  return { by: "files", data };
}

/** Pure: the databases of a source, without the system database, which always comes along. */
export function wantedDatabases(
  database: string,
  databases: Neo4jSource["databases"],
  online: readonly string[],
  where: string,
): string[] {
  const named = databases === undefined ? [database] : databases === "all" ? online : databases;
  const wanted = named.filter((name) => name !== "system");
  const missing = wanted.filter((name) => !online.includes(name));
  if (wanted.length > 0 && missing.length === 0) return wanted;
  throw new StillpointError("SOURCE_UNSUPPORTED", {
    what: "Cannot capture Neo4j databases",
    where,
    why: missing.length > 0 ? `${missing.join(", ")} is not online there` : "no database but system is wanted",
    hint: "SHOW DATABASES lists the databases there are; the system database comes along by itself",
  });
}

/** Files and Bolt serve one database beside system, which is what Community has. */
function requireOne(wanted: readonly string[], database: string, where: string): void {
  if (wanted.length === 1 && wanted[0] === database) return;
  throw new StillpointError("SOURCE_UNSUPPORTED", {
    what: "Cannot capture Neo4j databases",
    where,
    why: `${wanted.join(", ")} are wanted, and without the neo4j-admin of Enterprise only \`database\`, ${database}, can be captured`,
    hint: "set STILLPOINT_NEO4J_ADMIN to a neo4j-admin that offers `database backup`, or make a source of each database",
  });
}
