/** What a file system keeps a hole in steps of, mostly. */
const BLOCK = 4096;
const ZEROS = Buffer.alloc(BLOCK);

/** The stretches of some bytes of a file that are no whole blocks of zeros; `at`: where in the file they begin. Pure. */
export function* nonZero(bytes: Uint8Array, at: number): Generator<{ from: number; to: number }> {
  let open: number | undefined;
  for (let from = 0; from < bytes.length; ) {
    const to = Math.min(bytes.length, from + BLOCK - ((at + from) % BLOCK));
    const isZero = to - from === BLOCK && ZEROS.equals(bytes.subarray(from, to));
    if (!isZero) open ??= from;
    else if (open !== undefined) {
      yield { from: open, to: from };
      open = undefined;
    }
    from = to;
  }
  if (open !== undefined) yield { from: open, to: bytes.length };
}
