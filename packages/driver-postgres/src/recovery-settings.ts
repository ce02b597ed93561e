import { formatLsn } from "./lsn.ts";
import type { MarkDetail } from "./mark-detail.ts";
import { quietingSettings } from "./preload.ts";

export type Settings = Readonly<Record<string, string>>;

/**
 * The whole configuration of a restored server: nothing of the source's but the sizes that its data asks for. Left to
 * itself the server reaches nobody and nobody reaches it but through a socket in its own directory.
 */
export function serverSettings(detail: MarkDetail, restoreCommand: string): Settings {
  return {
    ...detail.settings,
    ...SILENCE,
    ...(detail.preload.length === 0 ? {} : { shared_preload_libraries: detail.preload.join(",") }),
    ...quietingSettings(detail.preload),
    ...recoverySettings(detail, restoreCommand),
  };
}

export const SILENCE: Settings = {
  listen_addresses: "",
  unix_socket_directories: ".",
  unix_socket_permissions: "0700",
  ssl: "off",
  archive_mode: "off",
  primary_conninfo: "",
  primary_slot_name: "",
  // Subscriptions are in the data: a worker of one would consume its publisher's slot.
  max_logical_replication_workers: "0",
  shared_preload_libraries: "",
  session_preload_libraries: "",
  local_preload_libraries: "",
  logging_collector: "off",
  log_destination: "stderr",
  // The words of recovery are read, so they must be the ones that are expected.
  lc_messages: "C",
  timezone: "UTC",
  log_timezone: "UTC",
};

/**
 * Every segment lies in pg_wal already, so "not in the archive" is the true answer for each; recovery then looks there. A
 * segment that is missing or damaged before the mark ends recovery with an error, for a target is set.
 */
export const LAID_OUT = "exit 1";

function recoverySettings(detail: MarkDetail, restoreCommand: string): Settings {
  return {
    restore_command: restoreCommand,
    ...recoveryTarget(detail),
    // A number: with `latest`, a fail-over after the mark would be followed.
    recovery_target_timeline: String(detail.timeline),
    recovery_target_action: detail.action,
    // Nobody is let in before the mark, and who asked for a pause there wants to look.
    hot_standby: detail.action === "pause" ? "on" : "off",
    // Tablespaces are laid inside the data directory.
    allow_in_place_tablespaces: "on",
  };
}

function recoveryTarget({ target, lsn }: MarkDetail): Settings {
  // Where it is not: what begins at the end of a marking record is not replayed.
  const inclusive = "inclusive" in target && target.inclusive ? "on" : "off";
  switch (target.by) {
    case "name":
      return { recovery_target_name: target.name };
    case "lsn":
      return { recovery_target_lsn: formatLsn(lsn), recovery_target_inclusive: inclusive };
    case "time":
      // The parser of settings does not know abbreviations of time zones, and takes Z for one.
      return {
        recovery_target_time: target.at.replace("T", " ").replace(/Z$/, "+00"),
        recovery_target_inclusive: inclusive,
      };
    case "xid":
      return { recovery_target_xid: target.xid, recovery_target_inclusive: inclusive };
    case "immediate":
      return { recovery_target: "immediate" };
    case "latest":
      return {};
  }
}

export function settingsText(settings: Settings): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`)
    .join("");
}
