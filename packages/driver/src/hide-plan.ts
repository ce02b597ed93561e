import type { HidePlan } from "./isolation-messages.ts";
import { isWithin } from "./tree-path.ts";

/** Where sockets of other programs commonly are; `/dev/shm` so that what a killed server leaves there goes with it. */
export const COMMON_DIRECTORIES = ["/run", "/var/run", "/tmp", "/dev/shm"];

export type HideInput = {
  /** Directories to hide, real paths. */
  hide: readonly string[];
  /** Directories that stay as they are, real paths. */
  keep: readonly string[];
  /** Sockets that exist, real paths. */
  sockets: readonly string[];
  /** A directory whose sockets are the sandbox's own. */
  own: string;
};

/** A network namespace does not hold back sockets in the file system, so whatever leads to one is covered. */
export function planHiding({ hide, keep, sockets, own }: HideInput): HidePlan {
  const outermost = [...new Set(hide)]
    .filter((path) => !keep.some((kept) => isWithin(path, kept)))
    .filter((path, _, all) => !all.some((other) => other !== path && isWithin(path, other)));
  const directories = outermost.map((path) => ({
    path,
    mode: path === "/tmp" || path === "/dev/shm" ? "1777" : "0755",
    visible: [...new Set(keep)]
      .filter((kept) => isWithin(kept, path))
      .filter((kept, _, all) => !all.some((other) => other !== kept && isWithin(kept, other))),
  }));
  const isVisible = (socket: string) =>
    keep.some((kept) => isWithin(socket, kept)) || !outermost.some((hidden) => isWithin(socket, hidden));
  return {
    directories,
    sockets: [...new Set(sockets)].filter((socket) => !isWithin(socket, own) && isVisible(socket)),
  };
}

/** The paths in `/proc/net/unix`. */
export function socketPaths(procNetUnix: string): string[] {
  return procNetUnix.split("\n").flatMap((line) => {
    const path = line.trim().split(/\s+/).slice(7).join(" ");
    return path.startsWith("/") ? [path] : [];
  });
}
