import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import type { TreeWriter } from "@stillpoint/driver/tree";
import { deniedOr, type Found, fingerprintOf, isGone } from "./scan.ts";

type File = Extract<Found, { type: "file" }>;
/** A file as it was captured. `steady` is false if it changed while it was read, every time. */
export type Captured = { fingerprint: string; changedMs: number; size: number; sha256: string; steady: boolean };

const CHUNK_BYTES = 256 * 1024;
const MOST_TRIES = 3;

/** Sends a file; one that changes meanwhile is sent again, and the last sending counts. Undefined: it is gone. */
export async function captureFile(file: File, tree: TreeWriter, signal: AbortSignal): Promise<Captured | undefined> {
  for (let attempt = 1; ; attempt += 1) {
    const captured = await captureOnce(file, tree, signal);
    if (captured === undefined || captured.steady || attempt === MOST_TRIES) return captured;
  }
}

async function captureOnce(file: File, tree: TreeWriter, signal: AbortSignal): Promise<Captured | undefined> {
  const opened = await open(file.from, "r").catch((error: unknown) => {
    if (isGone(error)) return undefined;
    throw deniedOr(file.from, error);
  });
  if (opened === undefined) return undefined;
  await using handle = opened;
  const before = await handle.stat({ bigint: true });
  const size = Number(before.size);
  const hash = createHash("sha256");
  let read = 0;
  const body = async function* () {
    while (read < size) {
      signal.throwIfAborted();
      const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, size - read));
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, read);
      if (bytesRead === 0) return; // it shrank: the writer pads, and we look again
      const chunk = buffer.subarray(0, bytesRead);
      hash.update(chunk);
      read += bytesRead;
      yield chunk;
    }
  };
  const { path, mode, uid, gid, mtimeMs } = file;
  const { torn } = await tree.add({ type: "file", path, mode, uid, gid, mtimeMs, size, hint: "content" }, body());
  const after = await handle.stat({ bigint: true });
  return {
    fingerprint: fingerprintOf(before),
    changedMs: Number(before.ctimeNs / 1_000_000n),
    size,
    sha256: hash.digest("hex"),
    steady: !torn && fingerprintOf(before) === fingerprintOf(after),
  };
}
