import { StillpointError } from "@stillpoint/contracts/errors";
import { type LogRange, logRange } from "@stillpoint/contracts/log";
import type { Header } from "tar-stream";
import { z } from "zod";
import { holesText, parseHoles } from "./holes.ts";
import { TAR_KEYS, XATTR_PREFIX } from "./tar-keys.ts";
import { bodyBytes, type ChunkHint, type TreeEntry } from "./tree.ts";
import { checkTreePath } from "./tree-path.ts";

/** An entry of the tree, or the word that the one before it was torn. */
export type TreeItem = TreeEntry | { type: "torn"; path: string };
/**
 * What a tar's header stands for: an item of the tree, or the word on which stretch of the log the backup holds, or a body
 * of `size` bytes that is entries without bodies of their own.
 */
export type TarEntry =
  | TreeItem
  | { type: "log"; path: string; range: LogRange }
  | { type: "entries"; path: string; size: number };

/** Where a tar that knows nothing of us puts the word on the log: an empty file. */
export const LOG_PATH = ".stillpoint/log";

/** What a ustar field holds; beyond it the value stands in a pax key. */
const MAX_ID = 0o777777;
const MAX_SIZE = 0o77777777777;

const chunkHint = z
  .string()
  .refine(
    (value): value is ChunkHint => value === "content" || value === "tar" || /^page:[1-9][0-9]{1,8}$/.test(value),
    "must be content, tar or page:<bytes>",
  );
const paxKeys = z.record(z.string(), z.string());
const count = z.coerce.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);

export type TarHeader = Partial<Header> & Pick<Header, "name" | "size" | "type">;

/** tar-stream takes a mode of 0 for none given; with the bits of the file type it is one. */
const REGULAR = 0o100000;

export function toTarHeader(entry: TarEntry): TarHeader {
  const path = checkTreePath(entry.path);
  if (entry.type === "deleted" || entry.type === "torn" || entry.type === "log") {
    const value = entry.type === "log" ? JSON.stringify(entry.range) : "1";
    return {
      name: path,
      type: "file",
      mode: REGULAR,
      size: 0,
      mtime: new Date(0),
      pax: { [TAR_KEYS[entry.type]]: value },
    };
  }
  if (entry.type === "entries") {
    const pax = { [TAR_KEYS.entries]: "1" };
    return { name: path, type: "file", mode: REGULAR, size: entry.size, mtime: new Date(0), pax };
  }
  const { mode, mtimeMs } = entry;
  const [uid = 0, gid = 0] = [entry.uid, entry.gid];
  const pax: Record<string, string> = { mtime: (mtimeMs / 1000).toFixed(9) };
  if (uid > MAX_ID) pax.uid = String(uid);
  if (gid > MAX_ID) pax.gid = String(gid);
  for (const [name, value] of Object.entries(entry.xattrs ?? {})) {
    pax[XATTR_PREFIX + encodeURIComponent(name)] = value.toString("base64");
  }
  const common = { mode: REGULAR | (mode & 0o7777), uid, gid, mtime: new Date(Math.trunc(mtimeMs)), pax };
  if (entry.type === "directory") return { ...common, name: `${path}/`, type: "directory", size: 0 };
  if (entry.type === "symlink") {
    return { ...common, name: path, type: "symlink", linkname: entry.target, size: 0 };
  }
  pax[TAR_KEYS.hint] = entry.hint;
  if (entry.hint === "tar") pax[TAR_KEYS.opaque] = "1";
  if (entry.offset !== undefined) pax[TAR_KEYS.offset] = String(entry.offset);
  if (entry.identity !== undefined) pax[TAR_KEYS.identity] = entry.identity;
  if (entry.link !== undefined) pax[TAR_KEYS.link] = entry.link;
  if (entry.sparse) pax[TAR_KEYS.sparse] = "1";
  const { holes = [] } = entry;
  if (holes.length > 0) pax[TAR_KEYS.holes] = holesText(entry.size, holes);
  const size = bodyBytes(entry);
  if (size > MAX_SIZE) pax.size = String(size);
  return { ...common, name: path, type: "file", size };
}

/** Throws PATH_UNSAFE for what no backup of ours holds: hard links, devices, pipes, paths that lead out. */
export function fromTarHeader(header: Header): TarEntry {
  const pax = paxKeys.parse(header.pax ?? {});
  const path = checkTreePath(header.type === "directory" ? header.name.replace(/\/$/, "") : header.name);
  if (pax[TAR_KEYS.deleted] !== undefined) return { type: "deleted", path };
  if (pax[TAR_KEYS.torn] !== undefined) return { type: "torn", path };
  const log = pax[TAR_KEYS.log];
  if (log !== undefined) return { type: "log", path, range: rangeOf(path, log) };
  if (pax[TAR_KEYS.entries] !== undefined) return { type: "entries", path, size: header.size };
  const seconds = Number(pax.mtime ?? Number.NaN);
  const common = {
    path,
    mode: header.mode & 0o7777,
    uid: count.catch(0).parse(pax.uid ?? header.uid),
    gid: count.catch(0).parse(pax.gid ?? header.gid),
    mtimeMs: Number.isFinite(seconds) ? seconds * 1000 : header.mtime.getTime(),
    ...xattrsOf(pax),
  };
  if (header.type === "directory") return { ...common, type: "directory" };
  if (header.type === "symlink") return { ...common, type: "symlink", target: header.linkname ?? "" };
  if (header.type !== "file" && header.type !== "contiguous-file") {
    throw new StillpointError("PATH_UNSAFE", {
      what: "Refused an entry of a tar",
      where: path,
      why: `entries of type ${header.type} do not belong in a backup`,
    });
  }
  const hint = chunkHint.safeParse(pax[TAR_KEYS.hint] ?? "content");
  const offset = count.optional().safeParse(pax[TAR_KEYS.offset]);
  if (!hint.success || !offset.success) {
    throw new StillpointError("TAR_INVALID", {
      what: "Cannot read an entry of a tar",
      where: path,
      why: hint.success ? `${TAR_KEYS.offset} is not a number of bytes` : `${TAR_KEYS.hint} is unknown`,
    });
  }
  const { [TAR_KEYS.identity]: identity, [TAR_KEYS.link]: link, [TAR_KEYS.holes]: holes } = pax;
  return {
    ...common,
    type: "file",
    size: header.size,
    hint: hint.data,
    ...(offset.data === undefined ? {} : { offset: offset.data }),
    ...(identity === undefined ? {} : { identity }),
    ...(link === undefined ? {} : { link: checkTreePath(link) }),
    ...(pax[TAR_KEYS.sparse] === undefined ? {} : { sparse: true }),
    ...(holes === undefined ? {} : parseHoles(path, holes, header.size)),
  };
}

function rangeOf(where: string, value: string): LogRange {
  try {
    return logRange.parse(JSON.parse(value));
  } catch (error) {
    throw new StillpointError("TAR_INVALID", {
      what: "Cannot read an entry of a tar",
      where,
      why: `${TAR_KEYS.log} is no stretch of a log`,
      cause: error,
    });
  }
}

function xattrsOf(pax: Record<string, string>): { xattrs?: Record<string, Buffer> } {
  const found = Object.entries(pax).flatMap(([key, value]) =>
    key.startsWith(XATTR_PREFIX)
      ? [[decodeURIComponent(key.slice(XATTR_PREFIX.length)), Buffer.from(value, "base64")] as const]
      : [],
  );
  return found.length === 0 ? {} : { xattrs: Object.fromEntries(found) };
}
