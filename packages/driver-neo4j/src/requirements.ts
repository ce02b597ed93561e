import { StillpointError } from "@stillpoint/contracts/errors";
import type { ServerFacts } from "./server-facts.ts";

/** Runtime ids of this driver: a rehearsal needs the same minor version, for files and log belong to it. */
export const RUNTIME_ID = "neo4j-5-26";
/** What every version that is known begins with. */
export const SUPPORTED = "5.26.";

/** A backup of Enterprise is restored by the same minor version or a later one; a rehearsal has the same. */
export function enterpriseRuntime(version: string): string {
  return `neo4j-enterprise-${version.split(".").slice(0, 2).join("-")}`;
}

/** Refuses a server whose files this driver does not know. Its data can still be exported over Bolt. */
export function requirePhysical({ version, edition, store, settings }: ServerFacts, where: string): void {
  const refuse = (why: string, hint = "leave `data` out of the source: then it is exported over Bolt") => {
    return new StillpointError("SOURCE_UNSUPPORTED", {
      what: "Cannot capture Neo4j from its files",
      where,
      why,
      hint,
    });
  };
  if (!version.startsWith(SUPPORTED)) throw refuse(`the server is Neo4j ${version}; only 5.26 is known`);
  if (edition !== "community") throw refuse(`the server is Neo4j ${edition}; only Community is known`, ENTERPRISE_HINT);
  if (!store.startsWith("record-"))
    throw refuse(`the database's store format is ${store}; only record formats are known`);
  const { data, logs } = settings;
  if (data !== undefined && logs !== undefined && logs !== `${data}/transactions`) {
    throw refuse(
      `its transaction logs lie in ${logs}, outside of its data directory`,
      "set server.directories.transaction.logs.root back to `transactions` in its neo4j.conf",
    );
  }
}

const ENTERPRISE_HINT =
  "Enterprise is captured by its own tool: set STILLPOINT_NEO4J_ADMIN to its neo4j-admin; or leave `data` out of the source, and it is exported over Bolt";

/** Refuses to ship a log that the server removes before it can be read. Whatever else it keeps may do: a hole is seen. */
export function requireRetention({ settings }: Pick<ServerFacts, "settings">, where: string): void {
  if (!/^(keep_none|false)$/.test(settings.retention ?? "")) return;
  throw new StillpointError("SOURCE_UNSUPPORTED", {
    what: "Cannot ship the log of a Neo4j database",
    where,
    why: `db.tx_log.rotation.retention_policy is "${settings.retention}": the server removes its log at each checkpoint`,
    hint: "set db.tx_log.rotation.retention_policy=keep_all, or a number of days, in its neo4j.conf, and restart it",
  });
}

/** What people should know of the server's settings before they rely on captures from its files. */
export function settingNotes({ retention, preallocate }: ServerFacts["settings"]): string[] {
  const notes: string[] = [];
  if (retention === undefined) {
    notes.push("this account may not see db.tx_log.rotation.retention_policy: a log may go before it is captured");
  } else if (!/^(keep_all|true|\d+ (days|hours))$/.test(retention)) {
    notes.push(
      `db.tx_log.rotation.retention_policy is "${retention}": a log may go before it is captured; ` +
        "keep_all or a number of days in neo4j.conf keeps it",
    );
  }
  if (preallocate === "true") {
    notes.push("db.tx_log.preallocate is true: each new log file takes its full size at once; false is recommended");
  }
  return notes;
}
