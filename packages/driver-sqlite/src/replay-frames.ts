import type { FileHandle } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { StillpointError } from "@stillpoint/contracts/errors";
import { reachIn } from "./page-span.ts";
import { type FramesHead, type PagesHead, readExactly } from "./ship-record.ts";
import type { ShippedAt } from "./shipped-log.ts";
import { isSameAddress, isSameGeneration, type WalAddress } from "./wal-address.ts";
import { type Checksum, checkFrame, FRAME_HEADER_BYTES, frameBytes, isEqual, parseWalHeader } from "./wal-format.ts";
import { writePages } from "./write-pages.ts";

const BLOCK_BYTES = 1 << 20;
const NUMBER_BYTES = 4;

export type Replay = {
  /** Takes what was shipped, as far as it counts. */
  take(shipped: ShippedAt): Promise<void>;
  /** Up to where it was replayed. */
  readonly end: WalAddress | undefined;
  /** Cuts the database to its length there. */
  finish(): Promise<void>;
};

/**
 * Writes the pages of a log into a copy of its database, as a checkpoint does. Frames may begin before the copy's own moment,
 * for the later version of a page comes later; they may be given twice; and they must have no hole.
 */
export function replayInto(
  database: FileHandle,
  name: string,
  { from, until, pageSize }: { from: WalAddress; until: WalAddress; pageSize: number },
): Replay {
  const length = frameBytes(pageSize);
  const perBlock = Math.max(1, Math.floor(BLOCK_BYTES / length));
  let end: WalAddress | undefined;
  let checksum: Checksum = [0, 0];
  let pages: number | undefined;
  let isDone = false;

  /** Where the frames are to be read from on; undefined where they are there already. */
  const join = ({ head, path }: ShippedAt<FramesHead>, salts: Checksum): number | undefined => {
    const generation: WalAddress = { salts: [...salts], frames: head.first };
    const hole = (why: string) => damaged(name, path, `there is a hole in the log: ${why}`);
    if (end === undefined) {
      const isReached = isSameGeneration(from, generation)
        ? head.first <= from.frames
        : head.follows === undefined || !isSameGeneration(from, head.follows) || head.follows.frames <= from.frames;
      if (!isReached) throw hole("it begins behind the base");
      checksum = head.previous;
      return head.first;
    }
    if (!isSameGeneration(end, generation)) {
      const { follows } = head;
      // What a shipper found empty when it began, and knew to be the same log, follows nothing that has frames.
      const isNext = follows !== undefined && (follows.frames === 0 || isSameAddress(follows, end));
      if (head.first !== 0 || !isNext) throw hole(`frame ${end.frames} is not where the next generation began`);
      checksum = head.previous;
      return 0;
    }
    if (head.first > end.frames) throw hole(`frames ${end.frames} to ${head.first} are missing`);
    if (head.first + head.count <= end.frames) return undefined;
    if (head.first === end.frames && !isEqual(checksum, head.previous))
      throw hole("what follows was written after something else");
    return end.frames;
  };

  const takePages = async ({ head, file, at, path }: ShippedAt<PagesHead>) => {
    if (head.pageSize !== pageSize || head.bytes !== head.count * (NUMBER_BYTES + pageSize))
      throw damaged(name, path, "pages of another length than the database's");
    const reach = reachIn(head, end ?? from);
    if (reach === "elsewhere" && end !== undefined && head.from.frames > 0)
      throw damaged(
        name,
        path,
        `there is a hole in the log: frame ${end.frames} is not where the next generation began`,
      );
    if (reach === "before") throw damaged(name, path, "there is a hole in the log: it begins behind what is there");
    if (end !== undefined && reach === "past") return;
    const isNext = end !== undefined && isSameAddress(end, head.from) && head.from.frames > 0;
    if (isNext && head.previous !== undefined && !isEqual(checksum, head.previous))
      throw damaged(name, path, "there is a hole in the log: what follows was written after something else");
    const numbers = await readExactly(file, at, head.count * NUMBER_BYTES, path);
    let crc = crc32(numbers);
    const perRead = Math.max(1, Math.floor(BLOCK_BYTES / pageSize));
    for (let index = 0; index < head.count; index += perRead) {
      const count = Math.min(perRead, head.count - index);
      const block = await readExactly(file, at + numbers.byteLength + index * pageSize, count * pageSize, path);
      crc = crc32(block, crc);
      const pagesRead = new Map<number, Buffer>();
      for (let each = 0; each < count; each += 1) {
        const page = numbers.readUInt32BE((index + each) * NUMBER_BYTES);
        pagesRead.set(page, block.subarray(each * pageSize, (each + 1) * pageSize));
      }
      await writePages(database, pagesRead, pageSize);
    }
    if (crc !== head.crc) throw damaged(name, path, "pages are not as their checksum says");
    [end, checksum, pages] = [head.to, head.last, head.pages];
    isDone = isSameAddress(until, head.to) || reachIn(head, until) === "within";
  };

  const takeFrames = async (frames: ShippedAt<FramesHead>) => {
    const { head, file, at, path } = frames;
    const header = parseWalHeader(Buffer.from(head.header, "hex"));
    if (header === undefined || header.pageSize !== pageSize || head.bytes !== head.count * length) {
      throw damaged(name, path, "a log's header is not as its checksum says");
    }
    const first = join(frames, header.salts);
    if (first === undefined) return;
    const isLast = isSameGeneration(until, { salts: [...header.salts], frames: 0 });
    const last = isLast ? Math.min(until.frames, head.first + head.count) : head.first + head.count;
    for (let frame = first; frame < last; frame += perBlock) {
      const count = Math.min(perBlock, last - frame);
      const block = await readExactly(file, at + (frame - head.first) * length, count * length, path);
      const newest = new Map<number, Buffer>();
      for (let index = 0; index < count; index += 1) {
        const bytes = block.subarray(index * length, (index + 1) * length);
        const checked = checkFrame(bytes, header, checksum);
        if (checked === undefined) throw damaged(name, path, `frame ${frame + index} is not as its checksum says`);
        checksum = checked.checksum;
        if (checked.commits) pages = bytes.readUInt32BE(4);
        newest.set(bytes.readUInt32BE(0), bytes.subarray(FRAME_HEADER_BYTES));
      }
      await writePages(database, newest, pageSize);
    }
    if (last > first || end === undefined || !isSameGeneration(end, { salts: [...header.salts], frames: 0 })) {
      end = { salts: [...header.salts], frames: Math.max(first, last) };
    }
    isDone = isLast && end.frames >= until.frames;
  };

  return {
    get end() {
      return end;
    },
    async take({ head, ...rest }) {
      if (isDone) return;
      if (head.is === "pages") await takePages({ head, ...rest });
      else await takeFrames({ head, ...rest });
    },
    async finish() {
      if (end === undefined || !isDone)
        throw damaged(name, undefined, "the log ends before the moment that was asked for");
      if (pages !== undefined) await database.truncate(pages * pageSize);
    },
  };
}

function damaged(name: string, path: string | undefined, why: string): StillpointError {
  return new StillpointError("VERIFICATION_FAILED", {
    what: "Cannot replay the shipped log of an SQLite database",
    where: path === undefined ? name : `${name}, ${path}`,
    why,
    hint: "nothing was replaced; restore to an earlier moment, or to a point",
  });
}
