import type { Captured } from "./read-file.ts";
import type { Found, Scan } from "./scan.ts";

/** What differs from the first look. Pure. */
export type Changes = {
  changed: Extract<Found, { type: "file" }>[];
  others: Exclude<Found, { type: "file" }>[];
  deleted: string[];
};

/** The clock of a file system ticks in steps: a change this close to a look may have left the same time behind. */
const RACY_MS = 50;

/** `lookedAtMs`: when each file was read, by the clock that its times come from. */
export function changesSince(
  first: ReadonlyMap<string, Captured & { lookedAtMs: number }>,
  firstOthers: ReadonlyMap<string, string>,
  now: Scan,
): Changes {
  const changes: Changes = { changed: [], others: [], deleted: [] };
  for (const each of now.found.values()) {
    if (each.type === "file") {
      const before = first.get(each.path);
      const isSame =
        before?.steady === true &&
        before.fingerprint === each.fingerprint &&
        each.changedMs + RACY_MS < before.lookedAtMs;
      if (!isSame) changes.changed.push(each);
    } else if (firstOthers.get(each.path) !== otherFingerprint(each)) changes.others.push(each);
  }
  const known = [...first.keys(), ...firstOthers.keys()];
  changes.deleted = known.filter((path) => !now.found.has(path)).sort();
  return changes;
}

/** Of a directory or symbolic link: what a restore must give it. */
export function otherFingerprint(each: Exclude<Found, { type: "file" }>): string {
  return [each.type, each.mode, each.uid, each.gid, each.type === "symlink" ? each.target : each.mtimeMs].join(":");
}
