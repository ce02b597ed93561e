import { StillpointError } from "@stillpoint/contracts/errors";
import { escapeIdentifier } from "pg";
import type { ServerFacts } from "./server-facts.ts";

/** The first whose backups have a manifest. */
const OLDEST_MAJOR = 13;
/** Newer ones are captured, and said to be untried. */
const NEWEST_TRIED_MAJOR = 18;

export function majorOf(versionNumber: number): number {
  return Math.floor(versionNumber / 10_000);
}

export function checkVersion(versionNumber: number, where: string): void {
  const major = majorOf(versionNumber);
  if (major >= OLDEST_MAJOR) return;
  throw new StillpointError("SOURCE_UNSUPPORTED", {
    what: "Cannot back up this PostgreSQL",
    where,
    why: `it is version ${major}, and ${OLDEST_MAJOR} is the oldest that can be captured`,
    hint: `upgrade the server to ${OLDEST_MAJOR} or later; pg_dump of a later version reads it`,
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
    ...(facts.mayReadAll !== false ? [] : [`GRANT pg_read_all_data TO ${user};`]),
    ...(seesPreload(facts) ? [] : [`GRANT pg_read_all_settings TO ${user};`]),
  ];
}

export const MARK_RIGHT_MISSING = "the right to create restore points is missing";

export function notesOf(facts: ServerFacts, versionNumber: number, unlogged: readonly string[]): string[] {
  const grants = missingGrants(facts);
  const unreachable = facts.databases.filter((database) => !database.mayConnect).map((database) => database.name);
  return [
    ...untried(majorOf(versionNumber)),
    ...(facts.mayMark ? [] : [`${MARK_RIGHT_MISSING}: points are at best fuzzy`]),
    ...(facts.mayReadAll ? [] : ["tables that this user may not read are not counted for the proof"]),
    ...(seesPreload(facts) ? [] : ["shared_preload_libraries is hidden from this user: none is loaded in a rehearsal"]),
    ...(grants.length === 0 ? [] : [`run as a superuser: ${grants.join(" ")}`]),
    ...(facts.settings.data_checksums === "off" ? ["without data checksums, damage inside pages goes unseen"] : []),
    ...(unlogged.length === 0 ? [] : [`unlogged tables come back empty: ${unlogged.join(", ")}`]),
    ...(unreachable.length === 0 ? [] : [`databases that this user may not connect to: ${unreachable.join(", ")}`]),
  ];
}

/** What a source that is dumped lacks. */
export function dumpNotesOf(
  facts: ServerFacts,
  versionNumber: number,
  { seesPasswords }: { seesPasswords: boolean },
): string[] {
  const user = escapeIdentifier(facts.user);
  return [
    ...untried(majorOf(versionNumber)),
    ...(facts.mayReadAll !== false
      ? []
      : [`a table that this user may not read fails the dump; run as a superuser: GRANT pg_read_all_data TO ${user};`]),
    ...(seesPasswords ? [] : ["roles are dumped without their passwords, which this user may not read"]),
  ];
}

function untried(major: number): string[] {
  if (major <= NEWEST_TRIED_MAJOR) return [];
  return [
    `PostgreSQL ${major} is newer than the ${NEWEST_TRIED_MAJOR} that this was tried with: see that points are proven`,
  ];
}

function seesPreload(facts: ServerFacts): boolean {
  return facts.settings.shared_preload_libraries !== undefined;
}
