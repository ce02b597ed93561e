const ZEROS = Buffer.alloc(64 * 1024);

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
