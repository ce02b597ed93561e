/**
 * The lines of a file of JSON, split at line feeds alone: JSON leaves U+2028 and U+2029 in a text as they are, and
 * `node:readline` ends lines at them.
 */
export async function* jsonLines(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let pending: string[] = [];
  for await (const piece of bytes) {
    const [first = "", ...rest] = decoder.decode(piece, { stream: true }).split("\n");
    pending.push(first);
    for (const next of rest) {
      yield pending.join("");
      pending = [next];
    }
  }
  pending.push(decoder.decode());
  const last = pending.join("");
  if (last !== "") yield last;
}
