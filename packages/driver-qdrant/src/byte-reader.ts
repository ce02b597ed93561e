/** Reads an exact number of bytes, or what there is, from a stream of pieces. Holds no more than the piece at hand. */
export type ByteReader = {
  /** Exactly `length` bytes; undefined if the stream ends before. */
  take(length: number): Promise<Buffer | undefined>;
  /** Up to `limit` bytes, at least one; undefined at the end. */
  some(limit: number): Promise<Buffer | undefined>;
};

export function byteReader(source: AsyncIterator<Uint8Array>): ByteReader {
  let held: Buffer = Buffer.alloc(0);

  const fill = async (): Promise<boolean> => {
    while (held.byteLength === 0) {
      const next = await source.next();
      if (next.done === true) return false;
      held = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength);
    }
    return true;
  };

  const some = async (limit: number): Promise<Buffer | undefined> => {
    if (!(await fill())) return undefined;
    const taken = held.subarray(0, limit);
    held = held.subarray(taken.byteLength);
    return taken;
  };

  return {
    some,
    async take(length) {
      const pieces: Buffer[] = [];
      for (let left = length; left > 0; ) {
        const piece = await some(left);
        if (piece === undefined) return undefined;
        pieces.push(piece);
        left -= piece.byteLength;
      }
      return Buffer.concat(pieces);
    },
  };
}
