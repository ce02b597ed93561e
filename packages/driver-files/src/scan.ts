import { type BigIntStats, lstatSync, readdirSync, readlinkSync } from "node:fs";
import { join, matchesGlob } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { Root } from "./roots.ts";

export type Xattrs = Record<string, Buffer>;
type Common = { path: string; from: string; mode: number; uid: number; gid: number; mtimeMs: number };
/** One thing below a root. `path` is its place in the backup's tree, `from` where it is read. */
export type Found =
  | (Common & { type: "file" } & FileState)
  | (Common & { type: "directory" })
  | (Common & { type: "symlink"; target: string })
  /** A socket, pipe or device: it has no content to keep. */
  | { type: "other"; path: string };
/** `isLinked`: other paths lead to the same file. */
export type FileState = {
  size: number;
  fingerprint: string;
  identity: string;
  changedMs: number;
  isLinked: boolean;
};
export type FoundFile = Extract<Found, { type: "file" }>;

/**
 * Everything below the roots in the order of a walk (path-order.ts), directories before what is in them. What goes away while
 * it is looked for was deleted. Throws SOURCE_DENIED where something may not be read, for a backup without it would look
 * whole. Blocks its thread, and is ten times as fast for it: it runs in one of its own (scanner.ts).
 */
export function* scan(roots: readonly Root[], exclude: readonly string[]): Generator<Found> {
  for (const root of roots) yield* visit(root.path, root.name, exclude);
}

function* visit(from: string, path: string, exclude: readonly string[]): Generator<Found> {
  if (exclude.some((pattern) => matchesGlob(path, pattern) || matchesGlob(from, pattern))) return;
  const stats = orGone(from, () => lstatSync(from, { bigint: true }));
  if (stats === undefined) {
    assertReadableName(from);
    return;
  }
  if (stats.isDirectory()) {
    const names = orGone(from, () => readdirSync(from));
    if (names === undefined) return;
    yield { ...commonOf(path, from, stats), type: "directory" };
    for (const name of names.sort()) yield* visit(join(from, name), `${path}/${name}`, exclude);
  } else if (stats.isSymbolicLink()) {
    const target = orGone(from, () => readlinkSync(from));
    if (target !== undefined) yield { ...commonOf(path, from, stats), type: "symlink", target };
  } else if (stats.isFile()) yield { ...commonOf(path, from, stats), ...stateOf(stats), type: "file" };
  else yield { type: "other", path };
}

/** A file's state by what its file system says. */
export function stateOf(stats: BigIntStats): FileState {
  return {
    size: Number(stats.size),
    fingerprint: fingerprintOf(stats),
    identity: `${stats.ctimeNs}-${stats.ino}`,
    changedMs: Number(stats.ctimeNs / 1_000_000n),
    isLinked: stats.nlink > 1n,
  };
}

/** Equal as long as nobody wrote to the file, gave it other metadata or put another in its place. */
export function fingerprintOf(stats: BigIntStats): string {
  const { dev, ino, size, mtimeNs, ctimeNs, mode, uid, gid } = stats;
  return [dev, ino, size, mtimeNs, ctimeNs, mode, uid, gid].join(":");
}

/** A name that is not UTF-8 comes with replacement characters, and is not found again by them: it must not just vanish. */
function assertReadableName(from: string): void {
  if (!from.includes("\ufffd")) return;
  throw new StillpointError("SOURCE_UNSUPPORTED", {
    what: "Cannot capture a file",
    where: from,
    why: "its name is not valid UTF-8",
    hint: "rename it, or exclude its directory in the plan",
  });
}

export function commonOf(path: string, from: string, stats: BigIntStats): Common {
  return {
    path,
    from,
    mode: Number(stats.mode & 0o7777n),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    mtimeMs: Number(stats.mtimeNs / 1_000_000n),
  };
}

function orGone<Result>(path: string, read: () => Result): Result | undefined {
  try {
    return read();
  } catch (error) {
    if (isGone(error)) return undefined;
    throw deniedOr(path, error);
  }
}

export function isGone(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");
}

/** SOURCE_DENIED for what may not be read; anything else as it is. */
export function deniedOr(path: string, error: unknown): unknown {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code !== "EACCES" && code !== "EPERM") return error;
  return new StillpointError("SOURCE_DENIED", {
    what: "Cannot read a file of the source",
    where: path,
    why: "permission denied",
    hint: "let the agent's account read it, or exclude it in the plan",
    cause: error,
  });
}
