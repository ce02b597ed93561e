import { type FileHandle, open } from "node:fs/promises";
import { diskError } from "@stillpoint/driver/disk-error";
import { newestFrames, runsOf } from "./read-newest.ts";
import { sourceChanged } from "./source-error.ts";
import type { WalAddress } from "./wal-address.ts";
import {
  adoptFrame,
  type Checksum,
  checkFrame,
  frameBytes,
  HEADER_BYTES,
  isEqual,
  makeWalHeader,
  parseWalHeader,
  type WalHeader,
} from "./wal-format.ts";

const BLOCK_BYTES = 1 << 20;
/** Where a frame that commits says how many pages the database has. */
const COMMITTED_AT = 4;

/** A database's commits since its base, as frames in a file of ours. */
export interface WalLog extends AsyncDisposable {
  /** Takes over what was committed since; how many frames there are now, and where the last stands in the live log. */
  advance(): Promise<{ frames: number; salts: Checksum; frame: number }>;
  /**
   * The live log may begin anew, once, from where it is now: every frame in it was checkpointed when the hold was taken.
   */
  mayRestart(): void;
  /**
   * A valid write-ahead log of what the first so many frames come to, whatever logs they stood in: each page once, as the last of
   * them left it, in one transaction.
   */
  file(frames: number): { frames: number; size: number; body: AsyncIterable<Uint8Array> };
}

/** Where a log is followed from: what lies before it in its generation is nobody's concern. */
export type FollowedFrom = { address: WalAddress; checksum: Checksum };

/** A log's generation: SQLite begins it anew under new salts, from the start of the same file. */
type Generation = { header: WalHeader; frames: number; checksum: Checksum };

/**
 * Follows a write-ahead log that the caller keeps from being restarted unseen. Only committed frames count, and each was
 * checked by the log's own checksums; frames of a transaction under way may still be rewritten. The log file carries no
 * POSIX locks, so it may be opened here.
 */
export async function followWal(
  walPath: string,
  pageSize: number,
  spoolPath: string,
  from: FollowedFrom,
): Promise<WalLog> {
  const spool = await open(spoolPath, "w+", 0o600);
  const length = frameBytes(pageSize);
  let spooled = 0;
  /** Which page each frame in the spool is of. */
  const pages: number[] = [];
  let generation: Generation | undefined;
  let restartableAt: number | undefined;

  const begin = (header: WalHeader): Generation => {
    if (header.pageSize !== pageSize) throw sourceChanged(walPath, "its page size changed");
    const isAllowed = generation === undefined || generation.frames === restartableAt;
    if (!isAllowed) throw sourceChanged(walPath, "its log was restarted over frames that nobody had read");
    restartableAt = undefined;
    const { salts, frames } = from.address;
    const goesOn = generation === undefined && frames > 0 && isEqual(salts, header.salts);
    return goesOn ? { header, frames, checksum: from.checksum } : { header, frames: 0, checksum: header.checksum };
  };

  const take = async (live: FileHandle, current: Generation): Promise<void> => {
    /** Where this generation's first frame stands, or would, in the spool. */
    const origin = spooled - current.frames;
    const block = Buffer.alloc(Math.max(1, Math.floor(BLOCK_BYTES / length)) * length);
    let { frames, checksum } = current;
    for (;;) {
      const { bytesRead } = await live.read(block, 0, block.byteLength, HEADER_BYTES + frames * length);
      let valid = 0;
      const commits: { frames: number; checksum: Checksum }[] = [];
      for (; (valid + 1) * length <= bytesRead; valid += 1) {
        const checked = checkFrame(block.subarray(valid * length, (valid + 1) * length), current.header, checksum);
        if (checked === undefined) break;
        checksum = checked.checksum;
        pages[origin + frames + valid] = block.readUInt32BE(valid * length);
        if (checked.commits) commits.push({ frames: frames + valid + 1, checksum });
      }
      await writeAll(spool, block.subarray(0, valid * length), (origin + frames) * length);
      frames += valid;
      const last = commits.at(-1);
      if (last !== undefined) Object.assign(current, last);
      spooled = origin + current.frames;
      if (valid * length < block.byteLength) return;
    }
  };

  return {
    async advance() {
      const live = await openIfThere(walPath);
      if (live !== undefined) {
        try {
          const { buffer, bytesRead } = await live.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0);
          const header = parseWalHeader(buffer.subarray(0, bytesRead));
          if (header !== undefined) {
            if (generation === undefined || !isEqual(generation.header.salts, header.salts)) generation = begin(header);
            await take(live, generation);
          }
        } finally {
          await live.close();
        }
      }
      return { frames: spooled, salts: generation?.header.salts ?? [0, 0], frame: generation?.frames ?? 0 };
    },
    mayRestart() {
      restartableAt = generation?.frames ?? 0;
    },
    file(frames) {
      const newest = newestFrames(pages.slice(0, frames), 0);
      return {
        frames: newest.length,
        size: HEADER_BYTES + newest.length * length,
        body: rewritten(spool, newest, pageSize),
      };
    },
    async [Symbol.asyncDispose]() {
      await spool.close();
    },
  };
}

/** Frames of all generations as one transaction: their own order, one header, checksums anew. */
async function* rewritten(spool: FileHandle, frames: readonly number[], pageSize: number): AsyncGenerator<Buffer> {
  const length = frameBytes(pageSize);
  const { bytes, header } = makeWalHeader(pageSize, [1, 1]);
  yield bytes;
  let checksum = header.checksum;
  const perBlock = Math.max(1, Math.floor(BLOCK_BYTES / length));
  const last = frames.at(-1);
  for (const run of runsOf(frames, perBlock)) {
    const read = Buffer.alloc((run.to - run.from) * length);
    await spool.read(read, 0, read.byteLength, run.from * length);
    const wanted: Buffer[] = [];
    for (const number of run.frames) {
      const frame = read.subarray((number - run.from) * length, (number - run.from + 1) * length);
      // What an earlier frame committed is no moment any more, for pages that later ones have are not as they were then.
      if (number !== last) frame.writeUInt32BE(0, COMMITTED_AT);
      checksum = adoptFrame(frame, header, checksum);
      wanted.push(frame);
    }
    yield Buffer.concat(wanted);
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, "r");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

async function writeAll(file: FileHandle, bytes: Buffer, at: number): Promise<void> {
  try {
    for (let from = 0; from < bytes.byteLength; ) {
      from += (await file.write(bytes, from, bytes.byteLength - from, at + from)).bytesWritten;
    }
  } catch (error) {
    throw diskError(error, "the agent's work directory");
  }
}
