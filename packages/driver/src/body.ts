const ZEROS = Buffer.alloc(64 * 1024);

/**
 * Small pieces are gathered to `most` bytes, for each write costs the same however little it writes; larger ones pass as they
 * are. A piece must be done with before the next is asked for: its memory is used again.
 */
export async function* gathered(body: AsyncIterable<Uint8Array>, most: number): AsyncGenerator<Uint8Array> {
  let memory: Uint8Array | undefined;
  let filled = 0;
  for await (const bytes of body) {
    if (memory !== undefined && filled > 0 && (filled + bytes.byteLength > most || bytes.byteLength >= most)) {
      yield memory.subarray(0, filled);
      filled = 0;
    }
    if (bytes.byteLength >= most) {
      yield bytes;
      continue;
    }
    memory ??= Buffer.allocUnsafeSlow(most);
    memory.set(bytes, filled);
    filled += bytes.byteLength;
  }
  if (memory !== undefined && filled > 0) yield memory.subarray(0, filled);
}

/**
 * Brings a body to exactly `size` bytes: one that ends early is padded with zeros, one that goes on is cut. Tells
 * whether it was torn by that.
 */
export async function writeExactly(
  size: number,
  body: AsyncIterable<Uint8Array> | readonly Uint8Array[] | undefined,
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
