import { type FileHandle, open } from "node:fs/promises";
import { diskError } from "@stillpoint/driver/disk-error";
import { sourceChanged } from "./source-error.ts";
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

/** A database's commits since its base, as frames in a file of ours. */
export interface WalLog extends AsyncDisposable {
  /** Takes over what was committed since; how many frames there are now, and where the last stands in the live log. */
  advance(): Promise<{ frames: number; salts: Checksum; frame: number }>;
  /**
   * The live log may begin anew, once, from where it is now: every frame in it was checkpointed when the hold was taken.
   */
  mayRestart(): void;
  /** A valid write-ahead log of the first so many frames, whatever logs they stood in. */
  file(frames: number): { size: number; body: AsyncIterable<Uint8Array> };
}

/** A log's generation: SQLite begins it anew under new salts, from the start of the same file. */
type Generation = { header: WalHeader; frames: number; checksum: Checksum };

/**
 * Follows a write-ahead log that the caller keeps from being restarted unseen. Only committed frames count, and each was
 * checked by the log's own checksums; frames of a transaction under way may still be rewritten. The log file carries no
 * POSIX locks, so it may be opened here.
 */
export async function followWal(walPath: string, pageSize: number, spoolPath: string): Promise<WalLog> {
  const spool = await open(spoolPath, "w+", 0o600);
  const length = frameBytes(pageSize);
  let spooled = 0;
  let generation: Generation | undefined;
  let restartableAt: number | undefined;

  const begin = (header: WalHeader): Generation => {
    if (header.pageSize !== pageSize) throw sourceChanged(walPath, "its page size changed");
    const isAllowed = generation === undefined || generation.frames === restartableAt;
    if (!isAllowed) throw sourceChanged(walPath, "its log was restarted over frames that nobody had read");
    restartableAt = undefined;
    return { header, frames: 0, checksum: header.checksum };
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
      return { size: HEADER_BYTES + frames * length, body: rewritten(spool, frames, pageSize) };
    },
    async [Symbol.asyncDispose]() {
      await spool.close();
    },
  };
}

/** The frames of all generations as one: their own order, one header, checksums anew. */
async function* rewritten(spool: FileHandle, frames: number, pageSize: number): AsyncGenerator<Buffer> {
  const length = frameBytes(pageSize);
  const { bytes, header } = makeWalHeader(pageSize, [1, 1]);
  yield bytes;
  let checksum = header.checksum;
  const perBlock = Math.max(1, Math.floor(BLOCK_BYTES / length));
  for (let at = 0; at < frames; at += perBlock) {
    const count = Math.min(perBlock, frames - at);
    const block = Buffer.alloc(count * length);
    await spool.read(block, 0, block.byteLength, at * length);
    for (let index = 0; index < count; index += 1) {
      checksum = adoptFrame(block.subarray(index * length, (index + 1) * length), header, checksum);
    }
    yield block;
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
