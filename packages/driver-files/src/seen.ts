import type { Captured } from "./read-file.ts";
import type { Found, FoundFile } from "./scan.ts";

/**
 * A path as a look found it, with what was read of it. `held`: in the base, in the spool, or to be read after the fence.
 * `lookedAtMs`: when it was read, by the clock that its own times come from.
 */
export type SeenFile = Captured & {
  type: "file";
  path: string;
  from: string;
  held: "base" | "spool" | "unread";
  lookedAtMs: number;
};
export type Seen = SeenFile | Exclude<Found, { type: "file" } | { type: "other" }>;

/** The clock of a file system ticks in steps: a change this close to a look may have left the same time behind. */
const RACY_MS = 50;
/** For a later run to rely on a state: also where a file server's clock is some seconds off, or ticks in seconds. */
const RACY_LATER_MS = 3_000;

/** Whether a file is for certain as it was when it was read. Pure. */
export function isAsRead(before: SeenFile, now: FoundFile): boolean {
  return (
    before.held !== "unread" &&
    before.steady &&
    before.fingerprint === now.fingerprint &&
    now.changedMs + RACY_MS < before.lookedAtMs
  );
}

/** Whether the base of a later run may take the file over from this one's by its state. Pure. */
export function mayBeRelied({ held, steady, changedMs, lookedAtMs }: SeenFile): boolean {
  return held === "base" && steady && changedMs + RACY_LATER_MS < lookedAtMs;
}

/** Of a directory or symbolic link: what a restore must give it. */
export function otherFingerprint(each: Exclude<Seen, { type: "file" }>): string {
  return [each.type, each.mode, each.uid, each.gid, each.type === "symlink" ? each.target : each.mtimeMs].join(":");
}
