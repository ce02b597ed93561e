import { type FileHandle, open, readdir, readFile, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { Readable } from "node:stream";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { LogRange } from "@stillpoint/contracts/log";
import type { TreeWriter } from "@stillpoint/driver/tree";
import { logPositionOf, logRangeOf, type WalPosition } from "../log-position.ts";
import { historyName, type Lsn, segmentName, segmentStart } from "../lsn.ts";
import { parentOf, parseHistory } from "../timeline-history.ts";
import { parseWalName } from "./wal-name.ts";

/** A file of a server's WAL as the stretch of its log that it is. */
export type WalStretch = { range: LogRange; bytes: number; write: (tree: TreeWriter) => Promise<void> };

const [SMALLEST, LARGEST] = [1_048_576, 1_073_741_824];
/** Of a segment's first page: magic, flags, timeline, address, length of what goes on, system, segment size. */
const LONG_HEADER_BYTES = 36;
const IS_LONG = 0x0002;
const READ_BYTES = 1_048_576;

/** Reads what the server wants archived; undefined where there is nothing in it that a restore needs. */
export async function readWalFile(path: string): Promise<WalStretch | undefined> {
  const name = basename(path);
  const file = parseWalName(name);
  if (file === undefined) throw refused(path, "its name is none of a WAL segment, a history or a backup label");
  if (file.is === "label") return undefined;
  const { size } = await stat(path);
  if (file.is === "history") {
    const text = await readFile(path, "utf8");
    const parent = parentOf(parseHistory(text), file.timeline);
    if (parent === undefined) throw refused(path, "it names no timeline that this one came from");
    // How large segments are it does not say, and an empty stretch lies wherever the branch is.
    const at = logRangeOf(file.timeline, parent.at, parent.at);
    return { range: { ...at, after: logPositionOf(parent) }, bytes: size, write: (tree) => addText(tree, name, text) };
  }
  if (size < SMALLEST || size > LARGEST || (size & (size - 1)) !== 0)
    throw refused(path, `it has ${size} bytes: no size of a segment`);
  const start = file.startIn(size);
  await checkHeader(path, file.timeline, start, size);
  const segment = segmentName(file.timeline, start, size);
  const entry = { type: "file", path: `pg_wal/${segment}`, mode: 0o600, mtimeMs: 0, size, hint: "content" } as const;
  const until = file.is === "partial" ? await leftAt(path, file.timeline, start, size) : start + BigInt(size);
  const parent = await parentIn(path, file.timeline);
  const isFirst = parent !== undefined && segmentStart(parent.at.at, size) === start;
  const range = logRangeOf(file.timeline, start, until);
  return {
    range: isFirst ? { ...range, after: logPositionOf(parent.at) } : range,
    bytes: size,
    async write(tree) {
      if (isFirst) await addText(tree, historyName(file.timeline), parent.text);
      // What lies behind the place where the timeline was left is of no timeline.
      await tree.add(entry, segmentBytes(path, Number(until - start), size));
    },
  };
}

async function addText(tree: TreeWriter, name: string, text: string): Promise<void> {
  const body = Buffer.from(text);
  const metadata = { path: `pg_wal/${name}`, mode: 0o600, mtimeMs: 0, size: body.length } as const;
  await tree.add({ type: "file", hint: "content", ...metadata }, Readable.from([body]));
}

async function* segmentBytes(path: string, length: number, size: number): AsyncGenerator<Buffer> {
  await using file = await open(path);
  yield* pieces(file, length);
  const zeros = Buffer.alloc(Math.min(READ_BYTES, size - length));
  for (let left = size - length; left > 0; left -= zeros.length) yield zeros.subarray(0, left);
}

async function* pieces(file: FileHandle, length: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < length; ) {
    const { buffer, bytesRead } = await file.read(
      Buffer.allocUnsafe(READ_BYTES),
      0,
      Math.min(READ_BYTES, length - at),
      at,
    );
    if (bytesRead === 0) throw new RangeError(`the segment ends at ${at} of ${length} bytes`);
    yield buffer.subarray(0, bytesRead);
    at += bytesRead;
  }
}

/** A file of another place or of another server is not taken for what its name says. */
async function checkHeader(path: string, timeline: number, start: Lsn, size: number): Promise<void> {
  await using file = await open(path);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(LONG_HEADER_BYTES), 0, LONG_HEADER_BYTES, 0);
  const isLong = bytesRead === LONG_HEADER_BYTES && (buffer.readUInt16LE(2) & IS_LONG) !== 0;
  if (!isLong) throw refused(path, "it does not begin as a WAL segment does");
  if (buffer.readBigUInt64LE(8) !== start) throw refused(path, "its first page is of another place in the WAL");
  // The first segment of a timeline begins with its parent's bytes.
  if (buffer.readUInt32LE(4) > timeline) throw refused(path, "its first page is of a later timeline");
  if (buffer.readUInt32LE(32) !== size) throw refused(path, "its first page tells of segments of another size");
}

type Parent = { at: WalPosition; text: string };

/** Where the timeline came from, by the history file that the server keeps beside its segments. */
async function parentIn(path: string, timeline: number): Promise<Parent | undefined> {
  if (timeline === 1) return undefined;
  const beside = join(dirname(path), historyName(timeline));
  const text = await readFile(beside, "utf8").catch((error: unknown) => {
    throw refused(path, `${historyName(timeline)} does not lie beside it, which says where its timeline began`, error);
  });
  const at = parentOf(parseHistory(text), timeline);
  if (at === undefined) throw refused(beside, "it names no timeline that this one came from");
  return { at, text };
}

/** Where a timeline was left inside of a segment, by the history of a later one. */
async function leftAt(path: string, timeline: number, start: Lsn, size: number): Promise<Lsn> {
  const directory = dirname(path);
  for (const name of (await readdir(directory)).filter((each) => each.endsWith(".history")).sort()) {
    const left = parseHistory(await readFile(join(directory, name), "utf8")).find((each) => each.timeline === timeline);
    if (left !== undefined && segmentStart(left.at, size) === start) return left.at;
  }
  throw refused(path, "no history file beside it says where its timeline was left");
}

function refused(path: string, why: string, cause?: unknown): StillpointError {
  return new StillpointError("SOURCE_DAMAGED", {
    what: "Did not take this file of a PostgreSQL server's WAL",
    where: path,
    why,
    hint: "give it as %p of archive_command, from the server's own pg_wal",
    cause,
  });
}
