import type { FileHandle } from "node:fs/promises";
import { encodeHead } from "./ship-record.ts";
import type { ShipSpool } from "./ship-spool.ts";
import { sourceChanged } from "./source-error.ts";
import type { WalAddress } from "./wal-address.ts";
import { type Checksum, checkFrame, frameBytes, HEADER_BYTES, parseWalHeader } from "./wal-format.ts";

const BLOCK_BYTES = 1 << 20;

type Frames = {
  wal: FileHandle;
  header: Buffer;
  /** How many frames of this generation were read, the checksum of the last of them, and where frames ended that were read. */
  before: { frames: number; checksum: Checksum; end: WalAddress };
  to: number;
  name: string;
  where: string;
};

/** Gives away frames as they stand, however many they are. Answers the checksum of the last. */
export async function streamFrames(
  { wal, header, before, to, name, where }: Frames,
  spool: ShipSpool,
): Promise<Checksum> {
  const parsed = parseWalHeader(header);
  if (parsed === undefined) throw new TypeError("unreachable: it was parsed before");
  const length = frameBytes(parsed.pageSize);
  const { frames: first, end } = before;
  // An emptied log has no checksum yet: it begins with that of the header that its first frame brings.
  let last = first > 0 ? before.checksum : parsed.checksum;
  await spool.append(
    encodeHead({
      is: "frames",
      name,
      header: header.toString("hex"),
      first,
      previous: [...last],
      ...(first > 0 ? {} : { follows: end }),
      count: to - first,
      bytes: (to - first) * length,
    }),
  );
  const perBlock = Math.max(1, Math.floor(BLOCK_BYTES / length));
  for (let at = first; at < to; at += perBlock) {
    const block = Buffer.alloc(Math.min(perBlock, to - at) * length);
    const { bytesRead } = await wal.read(block, 0, block.byteLength, HEADER_BYTES + at * length);
    for (let from = 0; from < block.byteLength; from += length) {
      const frame = block.subarray(from, from + length);
      const checked = from + length <= bytesRead ? checkFrame(frame, parsed, last) : undefined;
      if (checked === undefined) throw sourceChanged(where, "a committed frame of its log is not as its checksum says");
      last = checked.checksum;
    }
    await spool.append(block);
  }
  return last;
}
