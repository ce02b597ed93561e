import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import type { Hole, TreeWriter } from "@stillpoint/driver/tree";
import type { LinkBook } from "./link-book.ts";
import { commonOf, deniedOr, type FileState, type FoundFile, isGone, stateOf, type Xattrs } from "./scan.ts";

/** A file as it was captured. `steady` is false if it changed while it was read, every time. */
export type Captured = FileState & { mtimeMs: number; sha256: string; steady: boolean };

/** What is known of a file beside what its own descriptor says. */
export type ReadPorts = {
  signal: AbortSignal;
  xattrs?: Xattrs | undefined;
  holesOf?: (fd: number, size: number, signal: AbortSignal) => Promise<Hole[]>;
  links?: LinkBook;
  /** Bytes that came from the disk. */
  read?: (bytes: number) => void;
};

const CHUNK_BYTES = 256 * 1024;
const MOST_TRIES = 3;
const ZEROS = Buffer.alloc(CHUNK_BYTES);
const BLOCK = 512n;

/** Sends a file; one that changes meanwhile is sent again, and the last sending counts. Undefined: it is gone. */
export async function captureFile(file: FoundFile, tree: TreeWriter, ports: ReadPorts): Promise<Captured | undefined> {
  for (let attempt = 1; ; attempt += 1) {
    const captured = await captureOnce(file, tree, ports);
    if (captured === undefined || captured.steady || attempt === MOST_TRIES) return captured;
  }
}

/** Something else may stand there by now: a link is not followed, and a pipe not waited for. */
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, FLAGS);
  } catch (error) {
    if (isGone(error) || isNoFile(error)) return undefined;
    throw deniedOr(path, error);
  }
}

function isNoFile(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ELOOP" || error.code === "ENXIO");
}

async function captureOnce(
  { path, from }: FoundFile,
  tree: TreeWriter,
  { signal, xattrs, holesOf, links, read: noteRead }: ReadPorts,
): Promise<Captured | undefined> {
  const opened = await openIfThere(from);
  if (opened === undefined) return undefined;
  await using handle = opened;
  const before = await handle.stat({ bigint: true });
  if (!before.isFile()) return undefined;
  const state = stateOf(before);
  const { size, fingerprint, identity } = state;
  const hasHoles = before.blocks * BLOCK < before.size;
  const holes = hasHoles ? ((await holesOf?.(handle.fd, size, signal)) ?? []) : [];
  const hash = createHash("sha256");
  /** Some bytes, which the memory may be reused of once the next are asked for. */
  const piece = async (at: number, until: number) => {
    signal.throwIfAborted();
    const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, until - at));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
    noteRead?.(bytesRead);
    return buffer.subarray(0, bytesRead);
  };
  const body = async function* () {
    for (let at = 0, next = 0; at < size; ) {
      const hole = holes[next];
      if (hole !== undefined && hole.offset === at) {
        for (let left = hole.length; left > 0; left -= CHUNK_BYTES) hash.update(ZEROS.subarray(0, left));
        at += hole.length;
        next += 1;
        continue;
      }
      const chunk = await piece(at, hole?.offset ?? size);
      if (chunk.length === 0) return; // it shrank: the writer pads, and we look again
      hash.update(chunk);
      at += chunk.length;
      yield chunk;
    }
  };
  const link = links?.firstOf(path, state);
  const { mode, uid, gid, mtimeMs } = commonOf(path, from, before);
  const { torn } = await tree.add(
    {
      type: "file",
      path,
      mode,
      uid,
      gid,
      mtimeMs,
      size,
      hint: "content",
      identity,
      ...(xattrs === undefined ? {} : { xattrs }),
      ...(link === undefined ? {} : { link }),
      ...(hasHoles ? { sparse: true } : {}),
      ...(holes.length === 0 ? {} : { holes }),
    },
    body(),
  );
  const after = stateOf(await handle.stat({ bigint: true }));
  const steady = !torn && fingerprint === after.fingerprint;
  if (steady) links?.note(path, state);
  return { ...state, mtimeMs, sha256: hash.digest("hex"), steady };
}
