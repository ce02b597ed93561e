import { type FSWatcher, watch } from "node:fs";

/** Something below happened; `name` is the entry of the directory, where it is known. */
export type Happening = (directory: string, name: string | undefined) => void;
/** How one directory is watched; throws where it cannot be. */
export type WatchDirectory = (
  path: string,
  heard: (name: string | undefined) => void,
  ended: () => void,
) => { close(): void };

export const watchDirectory: WatchDirectory = (path, heard, ended) => {
  const watcher: FSWatcher = watch(path, { persistent: false }, (_, name) => heard(name ?? undefined));
  watcher.on("error", ended);
  watcher.on("close", ended);
  return watcher;
};

/**
 * One watch for each directory. Where the system gives no more of them, those that there are stay, and `refused` says why: what
 * is not watched is found by looking through it.
 */
export function directoryWatches(happened: Happening, open: WatchDirectory = watchDirectory) {
  const watches = new Map<string, { close(): void }>();
  let refused: unknown;
  return {
    add(path: string): void {
      if (watches.has(path) || refused !== undefined) return;
      try {
        watches.set(
          path,
          open(
            path,
            (name) => happened(path, name),
            () => watches.delete(path),
          ),
        );
      } catch (error) {
        // Gone again, or not ours to read: the capture tells of it.
        if (!isLimit(error)) return;
        refused = error;
      }
    },
    /** All but these are given up: their directories are gone. */
    keepOnly(paths: ReadonlySet<string>): void {
      for (const [path, watch] of watches) {
        if (paths.has(path)) continue;
        watches.delete(path);
        watch.close();
      }
    },
    get size() {
      return watches.size;
    },
    get refused() {
      return refused;
    },
    close(): void {
      this.keepOnly(new Set());
    },
  };
}

function isLimit(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOSPC" || error.code === "EMFILE");
}
