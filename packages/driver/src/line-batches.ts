const NEWLINE = 10;

/** The lines of a text, all that a piece completes at once: a step for each line costs more than most lines. */
export async function* lineBatches(source: AsyncIterable<Uint8Array>): AsyncGenerator<string[]> {
  let open: Uint8Array[] = [];
  for await (const bytes of source) {
    const end = bytes.lastIndexOf(NEWLINE);
    if (end < 0) {
      open.push(Uint8Array.from(bytes));
      continue;
    }
    const text = Buffer.concat([...open, bytes.subarray(0, end)]).toString("utf8");
    open = end + 1 < bytes.length ? [Uint8Array.from(bytes.subarray(end + 1))] : [];
    yield text.split("\n");
  }
  if (open.length > 0) yield [Buffer.concat(open).toString("utf8")];
}
