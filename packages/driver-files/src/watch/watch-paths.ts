import { createHash } from "node:crypto";
import { join, matchesGlob } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import type { FilesSource } from "@stillpoint/contracts/source";
import type { DriverContext, WatchOptions } from "@stillpoint/driver/driver";
import { findRoots } from "../roots.ts";
import type { Found } from "../scan.ts";
import { startScanner } from "../scanner.ts";
import { directoryWatches, type WatchDirectory } from "./directory-watches.ts";

/** Changes come in swarms; one word for what comes together. */
const SWARM_MS = 200;

/**
 * Watches paths until the signal fires. The kernel tells of what happens in each directory; now and then everything is looked
 * through, which finds what it did not tell of (a queue that ran over, a network's file system, a memory map) and watches
 * directories that came unseen. A queue that runs over has told of something before it did, and a capture looks at everything.
 */
export async function watchPaths(
  { paths, exclude }: Pick<FilesSource, "paths" | "exclude">,
  { rescanMs, changed }: WatchOptions,
  context: DriverContext,
  open?: WatchDirectory,
): Promise<void> {
  const { signal } = context;
  await using scanner = startScanner(exclude);
  /** The name in the tree of each directory that is watched. */
  const names = new Map<string, string>();
  /** Entries that may be directories which nobody watches yet. */
  const fresh = new Set<string>();
  let stirred = Promise.withResolvers<void>();
  let heard = false;

  const watches = directoryWatches((directory, name) => {
    const at = name === undefined ? directory : join(directory, name);
    const inTree = `${names.get(directory) ?? ""}/${name ?? ""}`;
    if (name !== undefined && exclude.some((glob) => matchesGlob(inTree, glob) || matchesGlob(at, glob))) return;
    if (name !== undefined) fresh.add(at);
    heard = true;
    stirred.resolve();
  }, open);
  using _watches = { [Symbol.dispose]: () => watches.close() };

  const watchFound = (found: Found, kept?: Set<string>) => {
    if (found.type !== "directory") return;
    kept?.add(found.from);
    names.set(found.from, found.path);
    watches.add(found.from);
  };

  const isRefused = () => watches.refused !== undefined;

  /** What everything is now, in one word; every directory is watched after it, and no other. */
  async function lookThrough(): Promise<string> {
    const hash = createHash("sha256");
    const kept = new Set<string>();
    const wasRefused = isRefused();
    for await (const batch of scanner.look(await findRoots(paths), signal)) {
      for (const found of batch) {
        hash.update(wordOf(found));
        watchFound(found, kept);
      }
    }
    watches.keepOnly(kept);
    for (const path of names.keys()) if (!kept.has(path)) names.delete(path);
    const { refused } = watches;
    if (!wasRefused && refused !== undefined) {
      const why = refused instanceof Error ? refused.message : String(refused);
      const hint = "raise fs.inotify.max_user_watches, or rely on the rescan";
      context.log("not every directory can be watched", { watched: watches.size, directories: kept.size, why, hint });
    }
    return hash.digest("hex");
  }

  /** Directories that came since, with what was put into them before they were watched. */
  async function watchFresh(): Promise<void> {
    const some = [...fresh];
    fresh.clear();
    for (const path of some) {
      const parent = names.get(join(path, ".."));
      if (parent === undefined || names.has(path)) continue;
      const name = `${parent}/${path.slice(path.lastIndexOf("/") + 1)}`;
      for await (const batch of scanner.look([{ path, name }], signal)) for (const found of batch) watchFound(found);
    }
  }

  let known = await lookThrough();
  changed("start");
  for (let nextMs = context.monotonicMs() + rescanMs; ; ) {
    signal.throwIfAborted();
    await Promise.race([stirred.promise, pause(Math.max(0, nextMs - context.monotonicMs()), signal)]);
    signal.throwIfAborted();
    if (heard) {
      await pause(SWARM_MS, signal);
      [stirred, heard] = [Promise.withResolvers<void>(), false];
      await watchFresh();
      changed("event");
    }
    if (context.monotonicMs() < nextMs) continue;
    const now = await lookThrough();
    // What was told of already is told once more where it shows here: never the other way.
    if (now !== known) changed("rescan");
    known = now;
    nextMs = context.monotonicMs() + rescanMs;
  }
}

function wordOf(found: Found): string {
  switch (found.type) {
    case "file":
      return `f ${found.path} ${found.size} ${found.mtimeMs} ${found.identity} ${found.mode}\n`;
    case "symlink":
      return `l ${found.path} ${found.target}\n`;
    case "directory":
      return `d ${found.path} ${found.mode} ${found.uid} ${found.gid}\n`;
    case "other":
      return "";
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await wait(ms, undefined, { signal }).catch(() => {
    // The signal is looked at by who waits.
  });
}
