const ZEROS = Buffer.alloc(64 * 1024);

/** What comes in smaller pieces is gathered to this length: each write costs the same, however little it writes. */
const GATHERED = 1024 * 1024;

/**
 * The bytes of a body of about this size in few pieces. A piece must be done with before the next is asked for: its memory is
 * used again.
 */
export async function* gathered(body: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Uint8Array> {
  const most = Math.min(GATHERED, size);
  let memory: Uint8Array | undefined;
  let filled = 0;
  for await (const bytes of body) {
    if (filled === 0 && bytes.byteLength >= most) {
      yield bytes;
      continue;
    }
    memory ??= Buffer.allocUnsafeSlow(most);
    for (let from = 0; from < bytes.byteLength; ) {
      const taken = bytes.subarray(from, from + most - filled);
      memory.set(taken, filled);
      filled += taken.byteLength;
      from += taken.byteLength;
      if (filled < most) continue;
      yield memory;
      filled = 0;
    }
  }
  if (memory !== undefined && filled > 0) yield memory.subarray(0, filled);
}

/**
 * Brings a body to exactly `size` bytes: one that ends early is padded with zeros, one that goes on is cut. Tells
 * whether it was torn by that.
 */
export async function writeExactly(
  size: number,
  body: AsyncIterable<Uint8Array> | undefined,
  write: (bytes: Uint8Array) => Promise<void>,
): Promise<{ torn: boolean }> {
  let left = size;
  let torn = false;
  for await (const bytes of body ?? []) {
    if (bytes.byteLength > left) torn = true;
    const taken = bytes.subarray(0, left);
    if (taken.byteLength > 0) await write(taken);
    left -= taken.byteLength;
    if (torn) break;
  }
  if (left > 0) torn = true;
  while (left > 0) {
    const zeros = ZEROS.subarray(0, Math.min(left, ZEROS.byteLength));
    await write(zeros);
    left -= zeros.byteLength;
  }
  return { torn };
}
