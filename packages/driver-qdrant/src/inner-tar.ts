import { StillpointError } from "@stillpoint/contracts/errors";
import type { ByteReader } from "./byte-reader.ts";
import {
  BLOCK,
  hasValidChecksum,
  headerSize,
  headerType,
  isSparseContinued,
  isZero,
  nameIn,
  paxPath,
} from "./tar-header.ts";

/** One entry of a tar, as its bytes: a reader of these gets the tar back exactly. */
export type InnerEntry = {
  /** Of the file in it; empty for the end of the tar. */
  name: string;
  /** Every block before the body: names too long for a header, maps of sparse files. */
  header: Buffer;
  /** Bytes of the body with its padding. */
  bodyBytes: number;
};

/** Blocks that say something about the entry after them. */
const PREFIX_TYPES = new Set(["L", "K", "x", "g"]);
const WITHOUT_BODY = new Set(["1", "2", "3", "4", "5", "6"]);
/** A name or a set of pax keys is never longer; a stream that says so is none of ours. */
const PREFIX_LIMIT = 1 << 20;
/** Some writers fill the last record up with zeros, 20 blocks at most. */
const END_LIMIT = 64 * BLOCK;

/**
 * The next entry of a tar. Its body is the caller's to read before it asks again. The last one has no name and its header
 * is the zero blocks, up to the stream's own end; a stream that ends without them is a torn one and throws.
 */
export async function nextEntry(reader: ByteReader): Promise<InnerEntry> {
  const header: Buffer[] = [];
  const block = async (): Promise<Buffer> => {
    const read = await reader.take(BLOCK);
    if (read === undefined) throw torn("the stream ended before the tar did");
    header.push(read);
    return read;
  };
  let name: string | undefined;
  for (;;) {
    const head = await block();
    if (isZero(head)) {
      if (header.length > 1) throw torn("a name stands before the tar's end");
      return { name: "", header: Buffer.concat([head, await end(reader)]), bodyBytes: 0 };
    }
    if (!hasValidChecksum(head)) throw torn("a header's checksum is wrong");
    const type = headerType(head);
    const size = headerSize(head);
    if (PREFIX_TYPES.has(type)) {
      if (size > PREFIX_LIMIT) throw torn(`a name of ${size} bytes`);
      const body = await reader.take(padded(size));
      if (body === undefined) throw torn("the stream ended within a name");
      header.push(body);
      const text = body.subarray(0, size);
      if (type === "L") name = text.toString("utf8").replace(/\0+$/, "");
      if (type === "x") name = paxPath(text.toString("utf8")) ?? name;
      continue;
    }
    if (type === "S" && isSparseContinued(head, "header")) while (isSparseContinued(await block(), "extension"));
    const bodyBytes = WITHOUT_BODY.has(type) ? 0 : padded(size);
    return { name: name ?? nameIn(head), header: Buffer.concat(header), bodyBytes };
  }
}

async function end(reader: ByteReader): Promise<Buffer> {
  const rest: Buffer[] = [];
  for (let length = 0; ; ) {
    const piece = await reader.some(END_LIMIT);
    if (piece === undefined) {
      if (length < BLOCK) throw torn("the tar's second zero block is missing");
      return Buffer.concat(rest);
    }
    rest.push(piece);
    length += piece.byteLength;
    if (length > END_LIMIT || !isZero(piece)) throw torn("something follows the tar's end");
  }
}

function padded(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK;
}

export function torn(why: string): StillpointError {
  return new StillpointError("SOURCE_LOST", {
    what: "The stream of a shard is not whole",
    why,
    hint: "the server failed while it sent the shard; its own log says why",
  });
}
