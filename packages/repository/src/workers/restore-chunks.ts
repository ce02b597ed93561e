import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  ftruncateSync,
  futimesSync,
  openSync,
  rmSync,
} from "node:fs";
import { nonZero } from "@stillpoint/direct-io/non-zero";
import { writeDirect } from "@stillpoint/direct-io/write-direct";
import { giveBack } from "./give-back.ts";
import { openChunk } from "./open-chunk.ts";
import { readFully, readRange } from "./read-range.ts";
import type { RestorePiece, RestoreResult, RestoreTask, WorkerSetup } from "./tasks.ts";

/** Bytes that were written: none where the file holds them already. */
function writePiece(fd: number, bytes: Uint8Array, at: number, { compare, sparse }: How): number {
  if (compare && Buffer.compare(readFully(fd, Buffer.allocUnsafe(bytes.length), at), bytes) === 0) return 0;
  // A file that was there may hold other bytes where zeros belong.
  if (sparse && !compare)
    for (const { from, to } of nonZero(bytes, at)) writeDirect(fd, bytes.subarray(from, to), at + from);
  else writeDirect(fd, bytes, at);
  return bytes.length;
}
type How = { compare: boolean; sparse: boolean };

const { O_RDWR, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;

function isExisting(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EEXIST";
}

/** A regular file at this path, made anew unless its bytes may stay; what else stands there is taken away. */
function openPlace(path: string, compare: boolean): number {
  try {
    return openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  } catch (error) {
    if (!isExisting(error)) throw error;
  }
  if (compare) {
    try {
      const fd = openSync(path, O_RDWR | O_NOFOLLOW);
      const found = fstatSync(fd);
      // What is written to a file with several paths would show under all of them.
      if (found.isFile() && found.nlink === 1) return fd;
      closeSync(fd);
    } catch {
      // A link, a directory, or not ours to read: it is made anew.
    }
  }
  rmSync(path, { recursive: true, force: true });
  return openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
}

function writePieceOf(bytes: Uint8Array, piece: RestorePiece, compare: boolean): number {
  if ("fd" in piece) return writePiece(piece.fd, bytes, piece.at, { compare, sparse: piece.sparse ?? false });
  const { path, mode, mtimeMs, uid, gid, sparse = false } = piece.file;
  const fd = openPlace(path, compare);
  try {
    const { size } = compare ? fstatSync(fd) : { size: 0 };
    const written = writePiece(fd, bytes, 0, { compare: compare && size > 0, sparse });
    if (sparse || size > bytes.length) ftruncateSync(fd, bytes.length);
    if (uid !== undefined && gid !== undefined) fchownSync(fd, uid, gid);
    fchmodSync(fd, mode);
    futimesSync(fd, mtimeMs / 1000, mtimeMs / 1000);
    return written;
  } finally {
    closeSync(fd);
  }
}

/**
 * Blocking calls throughout: each chunk goes from the pack to the files in one thread, past no other. Every chunk is
 * authenticated before a byte of it is written.
 */
export function restoreChunks(setup: WorkerSetup, task: RestoreTask): RestoreResult {
  let writtenBytes = 0;
  let range: Uint8Array;
  try {
    range = readRange(task.range);
  } catch (error) {
    return { damage: error instanceof Error ? error.message : String(error), writtenBytes };
  }
  for (const chunk of task.chunks) {
    const plain = openChunk(setup, task, range, chunk);
    if (typeof plain === "string") return { damage: plain, writtenBytes };
    for (const piece of chunk.pieces) {
      const { offset, length } = piece;
      if (offset + length > plain.length) return { damage: "an extent passes the end of its chunk", writtenBytes };
      try {
        writtenBytes += writePieceOf(plain.subarray(offset, offset + length), piece, task.compare);
      } catch (error) {
        const code = error instanceof Error && "code" in error ? String(error.code) : "";
        const path = "fd" in piece ? piece.path : piece.file.path;
        return { failure: { path, code, message: String(error) }, writtenBytes };
      }
    }
    giveBack(plain);
  }
  return { writtenBytes };
}
