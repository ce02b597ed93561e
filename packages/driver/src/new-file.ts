import { createWriteStream } from "node:fs";
import { link, open, rm, stat } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { StillpointError } from "@stillpoint/contracts/errors";

/** Writes a file that is not there yet, which shows under its name when it is whole. Its bytes. */
export async function writeNewFile(path: string, content: AsyncIterable<string>, signal: AbortSignal): Promise<number> {
  const partial = `${path}.partial`;
  try {
    await pipeline(Readable.from(content), createWriteStream(partial, { mode: 0o600, flush: true }), { signal });
    // Unlike a rename, this takes nothing away that stands there.
    await link(partial, path);
  } catch (error) {
    signal.throwIfAborted();
    throw fileError(error, path);
  } finally {
    await rm(partial, { force: true });
  }
  return (await stat(path)).size;
}

/** Far more than a last line with counts takes. */
const END_BYTES = 4 << 20;

/** The last line of a file of lines, or what of it fits; empty for an empty file. */
export async function lastLine(path: string): Promise<string> {
  try {
    await using file = await open(path);
    const { size } = await file.stat();
    const length = Math.min(size, END_BYTES);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length);
    return buffer.toString("utf8", 0, bytesRead).trimEnd().split("\n").at(-1) ?? "";
  } catch (error) {
    throw fileError(error, path);
  }
}

/** What using a file failed with, where it is the file's affair. */
export function fileError(error: unknown, where: string): unknown {
  const code = error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
  if (error instanceof StillpointError || code === undefined || !/^E[A-Z]+$/.test(code)) return error;
  return new StillpointError(code === "EEXIST" ? "CONFLICT" : "INVALID_REQUEST", {
    what: "Cannot use an export's file",
    where,
    why: error instanceof Error ? error.message : code,
    hint: code === "EEXIST" ? "name a file that is not there yet" : "name a file that this account may use",
    cause: error,
  });
}
