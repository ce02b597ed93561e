import type { Captured } from "./read-file.ts";
import type { Found, Scan } from "./scan.ts";

/** A file as it was read last, and when, by the clock that its own times come from. */
export type Looked = Captured & { lookedAtMs: number };

/** The clock of a file system ticks in steps: a change this close to a look may have left the same time behind. */
const RACY_MS = 50;

/** Files that are not, for certain, as they were when they were read last. Pure. */
export function changedSince(looked: ReadonlyMap<string, Looked>, now: Scan): Extract<Found, { type: "file" }>[] {
  return [...now.found.values()]
    .filter((each) => each.type === "file")
    .filter((each) => {
      const before = looked.get(each.path);
      const isSame =
        before?.steady === true &&
        before.fingerprint === each.fingerprint &&
        each.changedMs + RACY_MS < before.lookedAtMs;
      return !isSame;
    });
}

/** Of a directory or symbolic link: what a restore must give it. */
export function otherFingerprint(each: Exclude<Found, { type: "file" }>): string {
  return [each.type, each.mode, each.uid, each.gid, each.type === "symlink" ? each.target : each.mtimeMs].join(":");
}
