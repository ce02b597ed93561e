import type { BigIntStats } from "node:fs";
import { lstat, readdir, readlink } from "node:fs/promises";
import { join, matchesGlob } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { Root } from "./roots.ts";

type Common = { path: string; from: string; mode: number; uid: number; gid: number; mtimeMs: number };
/** One thing below a root. `path` is its place in the backup's tree, `from` where it is read. */
export type Found =
  | (Common & { type: "file"; size: number; fingerprint: string; changedMs: number })
  | (Common & { type: "directory" })
  | (Common & { type: "symlink"; target: string });

export type Scan = {
  found: Map<string, Found>;
  /** Sockets, pipes and devices: they have no content to keep. */
  leftOut: string[];
};

/**
 * Everything below the roots, directories before what is in them. What goes away while it is looked for was deleted.
 * Throws SOURCE_DENIED where something may not be read, for a backup without it would look whole.
 */
export async function scan(roots: readonly Root[], exclude: readonly string[], signal: AbortSignal): Promise<Scan> {
  const result: Scan = { found: new Map(), leftOut: [] };
  for (const root of roots) await visit(root.path, root.name, exclude, signal, result);
  return result;
}

async function visit(
  from: string,
  path: string,
  exclude: readonly string[],
  signal: AbortSignal,
  result: Scan,
): Promise<void> {
  signal.throwIfAborted();
  if (exclude.some((pattern) => matchesGlob(path, pattern) || matchesGlob(from, pattern))) return;
  const stats = await orGone(from, () => lstat(from, { bigint: true }));
  if (stats === undefined) return;
  const common = commonOf(path, from, stats);
  if (stats.isFile()) {
    result.found.set(path, {
      ...common,
      type: "file",
      size: Number(stats.size),
      fingerprint: fingerprintOf(stats),
      changedMs: Number(stats.ctimeNs / 1_000_000n),
    });
  } else if (stats.isSymbolicLink()) {
    const target = await orGone(from, () => readlink(from));
    if (target !== undefined) result.found.set(path, { ...common, type: "symlink", target });
  } else if (stats.isDirectory()) {
    const names = await orGone(from, () => readdir(from));
    if (names === undefined) return;
    result.found.set(path, { ...common, type: "directory" });
    for (const name of names.sort()) await visit(join(from, name), `${path}/${name}`, exclude, signal, result);
  } else result.leftOut.push(path);
}

/** Equal as long as nobody wrote to the file, gave it other metadata or put another in its place. */
export function fingerprintOf(stats: BigIntStats): string {
  const { dev, ino, size, mtimeNs, ctimeNs, mode, uid, gid } = stats;
  return [dev, ino, size, mtimeNs, ctimeNs, mode, uid, gid].join(":");
}

function commonOf(path: string, from: string, stats: BigIntStats): Common {
  return {
    path,
    from,
    mode: Number(stats.mode & 0o7777n),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    mtimeMs: Number(stats.mtimeNs / 1_000_000n),
  };
}

export async function orGone<Result>(path: string, read: () => Promise<Result>): Promise<Result | undefined> {
  try {
    return await read();
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    if (code !== "EACCES" && code !== "EPERM") throw error;
    throw new StillpointError("SOURCE_DENIED", {
      what: "Cannot read a file of the source",
      where: path,
      why: "permission denied",
      hint: "let the agent's account read it, or exclude it in the plan",
      cause: error,
    });
  }
}
