import { type FileHandle, open } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { StillpointError } from "@stillpoint/contracts/errors";
import { codeOf } from "@stillpoint/driver/disk-error";
import type { FoundDatabase } from "./find-databases.ts";
import type { Holder } from "./holder-client.ts";
import { pageWindow } from "./page-window.ts";
import { newestFrames, readFrames, scratchFor } from "./read-newest.ts";
import { encodeHead } from "./ship-record.ts";
import type { ShipSpool } from "./ship-spool.ts";
import { sourceChanged } from "./source-error.ts";
import { streamFrames } from "./stream-frames.ts";
import { isSameGeneration, type WalAddress } from "./wal-address.ts";
import {
  type Checksum,
  FRAME_HEADER_BYTES,
  frameBytes,
  HEADER_BYTES,
  isEqual,
  parseWalHeader,
  readPair,
} from "./wal-format.ts";
import { framePages, readWalIndex, type WalIndex } from "./wal-index.ts";

/** A database in WAL mode whose log is followed under a read transaction that moves on with it. */
export interface ShippedDatabase extends AsyncDisposable {
  readonly found: FoundDatabase;
  readonly pageSize: number;
  /** Up to where it was read. */
  readonly read: WalAddress;
  /** What is committed now; undefined where a writer is just saying so. */
  look(): WalIndex | undefined;
  /** Pages that were read and not given away yet. */
  readonly collectedBytes: number;
  /**
   * Reads on to there, the newest version of each page, into memory; false: together they would be more than so many bytes, and
   * nothing was read. What was read is true only if the hold lasted until afterwards.
   */
  collect(index: WalIndex, mostBytes: number): Promise<boolean>;
  /** Gives away what was collected. */
  give(spool: ShipSpool): Promise<void>;
  /** Gives away what was collected, and reads on to there, all frames as they stand; again as the hold lasts. */
  stream(index: WalIndex, spool: ShipSpool): Promise<void>;
  /** Goes on from there as if it had been read; false: it is not there. */
  resumeAt(frames: number): Promise<boolean>;
}

/** Opens a database of the holder's, which holds it. Its log and index are opened here, where nobody has locks on them. */
export async function followDatabase(found: FoundDatabase, pageSize: number): Promise<ShippedDatabase> {
  await using files = new AsyncDisposableStack();
  const wal = files.use(await openCompanion(found.path, "-wal"));
  const shm = files.use(await openCompanion(found.path, "-shm"));
  const length = frameBytes(pageSize);
  const index = readWalIndex(shm.fd);
  if (index === undefined) {
    throw sourceChanged(found.path, "its -shm file cannot be read: a writer died in the middle, or keeps it to itself");
  }
  let read: WalAddress = { salts: [...index.salts], frames: index.frames };
  let checksum: Checksum = index.checksum;
  /** Where the frames ended that were read last: a log may be emptied many times without a frame between. */
  let end = read;
  const kept = files.move();

  const header = async (salts: Checksum): Promise<Buffer> => {
    const { buffer, bytesRead } = await wal.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0);
    const parsed = parseWalHeader(buffer.subarray(0, bytesRead));
    if (parsed === undefined || !isEqual(parsed.salts, salts)) {
      throw sourceChanged(found.path, "its log was restarted over frames that nobody had read");
    }
    if (parsed.pageSize !== pageSize) throw sourceChanged(found.path, "its page size changed");
    return buffer;
  };

  const window = pageWindow(pageSize);
  const scratch = scratchFor(pageSize);
  /** What the window holds. */
  let span: { from: WalAddress; ends: WalAddress[]; previous?: Checksum; pages: number } | undefined;

  /** What is to be read up to there: nothing, or so many frames of a log with that header. */
  const ahead = async ({ salts, frames }: WalIndex) => {
    const target: WalAddress = { salts: [...salts], frames };
    const isSame = isSameGeneration(read, target);
    if (isSame && frames < read.frames) throw sourceChanged(found.path, "its log has lost frames");
    if (frames === 0) return { target };
    return { target, log: { bytes: await header(salts), first: isSame ? read.frames : 0 } };
  };
  const isAt = (to: WalIndex, target: WalAddress) => {
    read = target;
    if (to.frames > 0) [end, checksum] = [target, to.checksum];
  };
  /** How many pages the database has after the commit that a log ends with. */
  const pagesAfter = async (to: WalIndex): Promise<number> => {
    const { buffer, bytesRead } = await wal.read(
      Buffer.alloc(FRAME_HEADER_BYTES),
      0,
      FRAME_HEADER_BYTES,
      HEADER_BYTES + (to.frames - 1) * length,
    );
    const pages = bytesRead === FRAME_HEADER_BYTES ? buffer.readUInt32BE(4) : 0;
    if (pages === 0 || !isEqual(readPair(buffer, 16), to.checksum))
      throw sourceChanged(found.path, "its log is not the one that its index speaks of");
    return pages;
  };
  const give = async (spool: ShipSpool) => {
    if (span === undefined) return;
    const { numbers, pages } = window.contents();
    const { previous, ...passed } = span;
    await spool.append(
      encodeHead({
        is: "pages",
        name: found.name,
        pageSize,
        ...passed,
        to: end,
        ...(previous === undefined ? {} : { previous: [...previous] }),
        last: [...checksum],
        count: window.count,
        crc: crc32(pages, crc32(numbers)),
        bytes: numbers.byteLength + pages.byteLength,
      }),
    );
    await spool.append(numbers);
    await spool.append(pages);
    window.clear();
    span = undefined;
  };

  return {
    found,
    pageSize,
    get read() {
      return read;
    },
    get collectedBytes() {
      return window.bytes;
    },
    look: () => readWalIndex(shm.fd),
    give,
    async collect(to, mostBytes) {
      const { target, log } = await ahead(to);
      if (log !== undefined && to.frames > log.first) {
        const pages = await framePages(shm, log.first, to.frames - log.first);
        const wanted = pages === undefined ? undefined : newestFrames(pages, log.first);
        if (wanted === undefined || window.bytes + wanted.length * pageSize > mostBytes) return false;
        const parsed = parseWalHeader(log.bytes);
        if (parsed === undefined) throw new TypeError("unreachable: it was parsed before");
        span ??= { from: end, ends: [], pages: 0, ...(end.frames > 0 ? { previous: checksum } : {}) };
        if (!isSameGeneration(end, target)) span.ends.push(end);
        await readFrames(wal, parsed, wanted, { window, where: found.path, scratch });
        span.pages = await pagesAfter(to);
      }
      isAt(to, target);
      return true;
    },
    async resumeAt(frames) {
      if (frames > read.frames) return false;
      if (frames === read.frames) return true;
      const bytes = await header(read.salts);
      const place = frames === 0 ? 24 : 16;
      const at = HEADER_BYTES + (frames - 1) * length;
      const before = frames === 0 ? bytes : Buffer.alloc(FRAME_HEADER_BYTES);
      if (frames > 0 && (await wal.read(before, 0, FRAME_HEADER_BYTES, at)).bytesRead < FRAME_HEADER_BYTES)
        return false;
      read = { salts: read.salts, frames };
      end = read;
      checksum = readPair(before, place);
      return true;
    },
    async stream(to, spool) {
      await give(spool);
      const { target, log } = await ahead(to);
      if (log !== undefined && to.frames > log.first) {
        const { bytes, first } = log;
        const before = { frames: first, checksum, end };
        const last = await streamFrames(
          { wal, header: bytes, before, to: to.frames, name: found.name, where: found.path },
          spool,
        );
        if (!isEqual(last, to.checksum))
          throw sourceChanged(found.path, "its log is not the one that its index speaks of");
      }
      isAt(to, target);
    },
    [Symbol.asyncDispose]: async () => await kept.disposeAsync(),
  };
}

async function openCompanion(path: string, suffix: "-wal" | "-shm"): Promise<FileHandle> {
  try {
    return await open(`${path}${suffix}`, "r");
  } catch (error) {
    const code = codeOf(error);
    if (code !== "ENOENT" && code !== "EACCES" && code !== "EPERM") throw error;
    throw new StillpointError(code === "ENOENT" ? "SOURCE_UNSUPPORTED" : "SOURCE_DENIED", {
      what: "Cannot follow the log of an SQLite database",
      where: `${path}${suffix}`,
      why: code === "ENOENT" ? "the file is not there" : "the agent's account may not read it",
      hint: "the agent must be able to write in the database's directory, where SQLite keeps its -wal and -shm files",
      cause: error,
    });
  }
}

/** Holds a database, which then cannot lose a frame that was not read. */
export async function holdDatabase(found: FoundDatabase, holder: Holder): Promise<ShippedDatabase> {
  const { pageSize } = await holder.ask("open", { path: found.path });
  await holder.ask("hold", { path: found.path });
  return await followDatabase(found, pageSize);
}
