import { once } from "node:events";
import { createReadStream, createWriteStream } from "node:fs";
import { lineBatches } from "@stillpoint/driver/line-batches";

const PIECE_BYTES = 256 * 1024;

/** A sequence on disk, one JSON value a line: what may be a million of must not be held. */
export function lineWriter(path: string) {
  const out = createWriteStream(path, { mode: 0o600, highWaterMark: 4 * PIECE_BYTES });
  const opened = once(out, "ready");
  opened.catch(() => undefined); // thrown at the end
  let failure: { error: unknown } | undefined;
  out.on("error", (error) => {
    failure ??= { error };
  });
  let held: string[] = [];
  let length = 0;
  const flush = async () => {
    const text = held.join("");
    held = [];
    length = 0;
    if (failure !== undefined) throw failure.error;
    if (!out.write(text)) await once(out, "drain");
  };
  return {
    async add(value: unknown): Promise<void> {
      const line = `${JSON.stringify(value)}\n`;
      held.push(line);
      length += line.length;
      if (length >= PIECE_BYTES) await flush();
    },
    async end(): Promise<void> {
      await flush();
      await opened;
      out.end();
      await once(out, "close");
      if (failure !== undefined) throw failure.error;
    },
    destroy: () => void out.destroy(),
  };
}
export type LineWriter = ReturnType<typeof lineWriter>;

/** A batch at a time. */
export async function* readLines<Value>(path: string, parse: (value: unknown) => Value): AsyncGenerator<Value[]> {
  const bytes = createReadStream(path, { highWaterMark: PIECE_BYTES }) as AsyncIterable<Buffer>; // no encoding: buffers
  for await (const lines of lineBatches(bytes)) yield lines.map((line) => parse(JSON.parse(line)));
}
