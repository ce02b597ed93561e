import { StillpointError } from "@stillpoint/contracts/errors";
import { bodyBytes, type Hole } from "./tree.ts";

const ZEROS = Buffer.alloc(1024 * 1024);

/** `<size> <offset>,<length> …` */
export function holesText(size: number, holes: readonly Hole[]): string {
  return [String(size), ...holes.map(({ offset, length }) => `${offset},${length}`)].join(" ");
}

/** Throws TAR_INVALID unless they lie within the file, in order and apart, and leave exactly the body. */
export function parseHoles(where: string, text: string, body: number): { size: number; holes: Hole[] } {
  const [whole = "", ...pairs] = text.split(" ");
  const size = Number(whole);
  const holes = pairs.map((pair) => {
    const [offset = Number.NaN, length = Number.NaN] = pair.split(",").map(Number);
    return { offset, length };
  });
  let end = 0;
  let fits = Number.isSafeInteger(size);
  for (const { offset, length } of holes) {
    fits &&= Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= end && length > 0;
    end = offset + length;
  }
  if (fits && end <= size && bodyBytes({ size, holes }) === body) return { size, holes };
  throw new StillpointError("TAR_INVALID", {
    what: "Cannot read an entry of a tar",
    where,
    why: "its holes do not fit its size and its body",
  });
}

/** The whole file's bytes, of a body that leaves holes out. */
export async function* filled(body: AsyncIterable<Uint8Array>, holes: readonly Hole[]): AsyncGenerator<Uint8Array> {
  let at = 0;
  let next = 0;
  function* zeros(): Generator<Uint8Array> {
    for (let hole = holes[next]; hole !== undefined && hole.offset === at; hole = holes[++next]) {
      for (let left = hole.length; left > 0; left -= ZEROS.length)
        yield ZEROS.subarray(0, Math.min(left, ZEROS.length));
      at += hole.length;
    }
  }
  yield* zeros();
  for await (let bytes of body) {
    while (bytes.byteLength > 0) {
      const until = holes[next]?.offset ?? Number.POSITIVE_INFINITY;
      const part = bytes.subarray(0, Math.min(bytes.byteLength, until - at));
      at += part.byteLength;
      bytes = bytes.subarray(part.byteLength);
      yield part;
      yield* zeros();
    }
  }
}
