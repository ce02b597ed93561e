import { StillpointError } from "@stillpoint/contracts/errors";
import { escapeIdentifier } from "pg";
import type { ServerFacts } from "./server-facts.ts";

/** BASE_BACKUP's stream, with its manifest in it, is that of PostgreSQL 15 and later. */
const OLDEST_VERSION = 150_000;

export function checkVersion(versionNumber: number, where: string): void {
  if (versionNumber >= OLDEST_VERSION) return;
  throw new StillpointError("SOURCE_UNSUPPORTED", {
    what: "Cannot back up this PostgreSQL",
    where,
    why: `it is version ${Math.floor(versionNumber / 10_000)}, and 15 is the oldest that can be captured`,
    hint: "upgrade the server",
  });
}

/** Throws where a capture is impossible. What is only worse is among the notes, with the line that mends it. */
export function checkRequirements(facts: ServerFacts, where: string): void {
  if (!facts.mayReplicate) {
    throw new StillpointError("SOURCE_DENIED", {
      what: "Cannot back up this PostgreSQL",
      where,
      why: `user ${facts.user} lacks the rights for it`,
      hint: `run as a superuser: ${missingGrants(facts).join(" ")}`,
    });
  }
  if (facts.inRecovery) {
    throw new StillpointError("SOURCE_UNSUPPORTED", {
      what: "Cannot back up this PostgreSQL",
      where,
      why: "it is a standby, which cannot be marked",
      hint: "name its primary in the url",
    });
  }
  if (facts.settings.wal_level === "minimal") {
    throw new StillpointError("SOURCE_UNSUPPORTED", {
      what: "Cannot back up this PostgreSQL",
      where,
      why: "wal_level is minimal, so its WAL cannot be replayed on a copy",
      hint: "run as a superuser: ALTER SYSTEM SET wal_level = 'replica'; then restart the server",
    });
  }
}

/** SQL that gives the user every right that a backup makes use of; empty where it has them. */
export function missingGrants(facts: ServerFacts): string[] {
  const user = escapeIdentifier(facts.user);
  return [
    ...(facts.mayReplicate ? [] : [`ALTER ROLE ${user} REPLICATION;`]),
    ...(facts.mayMark ? [] : [`GRANT EXECUTE ON FUNCTION pg_create_restore_point(text) TO ${user};`]),
    ...(facts.mayReadAll ? [] : [`GRANT pg_read_all_data TO ${user};`]),
    ...(seesPreload(facts) ? [] : [`GRANT pg_read_all_settings TO ${user};`]),
  ];
}

export const MARK_RIGHT_MISSING = "the right to create restore points is missing";

export function notesOf(facts: ServerFacts, unlogged: readonly string[]): string[] {
  const grants = missingGrants(facts);
  const unreachable = facts.databases.filter((database) => !database.mayConnect).map((database) => database.name);
  return [
    ...(facts.mayMark ? [] : [`${MARK_RIGHT_MISSING}: points are at best fuzzy`]),
    ...(facts.mayReadAll ? [] : ["tables that this user may not read are not counted for the proof"]),
    ...(seesPreload(facts) ? [] : ["shared_preload_libraries is hidden from this user: none is loaded in a rehearsal"]),
    ...(grants.length === 0 ? [] : [`run as a superuser: ${grants.join(" ")}`]),
    ...(facts.settings.data_checksums === "off" ? ["without data checksums, damage inside pages goes unseen"] : []),
    ...(unlogged.length === 0 ? [] : [`unlogged tables come back empty: ${unlogged.join(", ")}`]),
    ...(unreachable.length === 0 ? [] : [`databases that this user may not connect to: ${unreachable.join(", ")}`]),
  ];
}

function seesPreload(facts: ServerFacts): boolean {
  return facts.settings.shared_preload_libraries !== undefined;
}
