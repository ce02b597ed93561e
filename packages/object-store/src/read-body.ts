import { Buffer } from "node:buffer";
import { finished, type Readable } from "node:stream";
import { buffer } from "node:stream/consumers";

/** A body whose length is told in one buffer of exactly that size, joined from nothing; one whose length is not, whole. */
export async function readBody(stream: Readable, length: number | undefined): Promise<Uint8Array> {
  if (length === undefined) return buffer(stream);
  // Not from the pool: the reader may hand the memory on to another thread.
  const whole = Buffer.allocUnsafeSlow(length);
  let filled = 0;
  return new Promise((resolve, reject) => {
    stream.on("data", (chunk: Uint8Array) => {
      if (filled + chunk.length > length) stream.destroy(new Error(`more than the ${length} bytes that were told`));
      else whole.set(chunk, filled);
      filled += chunk.length;
    });
    finished(stream, (error) => {
      if (error) reject(error);
      else if (filled !== length) reject(new Error(`the answer broke off at byte ${filled} of ${length}`));
      else resolve(whole);
    });
  });
}
