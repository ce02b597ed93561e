import { type FileHandle, open } from "node:fs/promises";
import { StillpointError } from "@stillpoint/contracts/errors";
import { codeOf } from "@stillpoint/driver/disk-error";
import type { FoundDatabase } from "./find-databases.ts";
import type { Holder } from "./holder-client.ts";
import { encodeHead } from "./ship-record.ts";
import type { ShipSpool } from "./ship-spool.ts";
import { sourceChanged } from "./source-error.ts";
import { isSameAddress, isSameGeneration, type WalAddress } from "./wal-address.ts";
import {
  type Checksum,
  checkFrame,
  FRAME_HEADER_BYTES,
  frameBytes,
  HEADER_BYTES,
  isEqual,
  parseWalHeader,
  readPair,
} from "./wal-format.ts";
import { readWalIndex, type WalIndex } from "./wal-index.ts";

const BLOCK_BYTES = 1 << 20;

/** A database in WAL mode whose log is followed under a read transaction that moves on with it. */
export interface ShippedDatabase extends AsyncDisposable {
  readonly found: FoundDatabase;
  readonly pageSize: number;
  /** Up to where it was read. */
  readonly read: WalAddress;
  /** What is committed now; undefined where a writer is just saying so. */
  look(): WalIndex | undefined;
  /** Reads on to there, into a spool; what it reads is true only if the hold lasted until afterwards. */
  readTo(index: WalIndex, spool: ShipSpool): Promise<void>;
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

  return {
    found,
    pageSize,
    get read() {
      return read;
    },
    look: () => readWalIndex(shm.fd),
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
    async readTo(to, spool) {
      const target: WalAddress = { salts: [...to.salts], frames: to.frames };
      if (isSameAddress(read, target)) return;
      const isSame = isSameGeneration(read, target);
      if (isSame && to.frames < read.frames) throw sourceChanged(found.path, "its log has lost frames");
      if (to.frames > 0) {
        const bytes = await header(to.salts);
        const parsed = parseWalHeader(bytes);
        if (parsed === undefined) throw new TypeError("unreachable: it was parsed before");
        const first = isSame ? read.frames : 0;
        // An emptied log has no checksum yet: it begins with that of the header that its first frame brings.
        let last = first > 0 ? checksum : parsed.checksum;
        const size = (to.frames - first) * length;
        await spool.append(
          encodeHead({
            is: "frames",
            name: found.name,
            header: bytes.toString("hex"),
            first,
            previous: [...last],
            ...(first > 0 ? {} : { follows: end }),
            count: to.frames - first,
            bytes: size,
          }),
        );
        const perBlock = Math.max(1, Math.floor(BLOCK_BYTES / length));
        for (let at = first; at < to.frames; at += perBlock) {
          const block = Buffer.alloc(Math.min(perBlock, to.frames - at) * length);
          const { bytesRead } = await wal.read(block, 0, block.byteLength, HEADER_BYTES + at * length);
          for (let from = 0; from < block.byteLength; from += length) {
            const frame = block.subarray(from, from + length);
            const checked = from + length <= bytesRead ? checkFrame(frame, parsed, last) : undefined;
            if (checked === undefined)
              throw sourceChanged(found.path, "a committed frame of its log is not as its checksum says");
            last = checked.checksum;
          }
          await spool.append(block);
        }
        if (!isEqual(last, to.checksum))
          throw sourceChanged(found.path, "its log is not the one that its index speaks of");
      }
      checksum = to.checksum;
      read = target;
      if (to.frames > 0) end = target;
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
