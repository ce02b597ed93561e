import { toStillpointError } from "@stillpoint/contracts/errors";
import { type Pack, pack as tarPack } from "tar-stream";
import { ENTRIES_PATH, encodeBodiless } from "./bodiless.ts";
import { writeExactly } from "./body.ts";
import { LOG_PATH, type TarEntry, toTarHeader } from "./tar-entry.ts";
import type { TreeWriter } from "./tree.ts";

/** Small pieces, such as headers, are joined to about this much before they leave. */
const CHUNK_BYTES = 128 * 1024;

export interface TarWriter extends TreeWriter {
  /** The tar, to be read once. Ends after `end`; throws what `fail` was given, or what a body threw. */
  readonly stream: AsyncIterable<Uint8Array>;
  /** Bytes of bodies so far. */
  readonly bytes: number;
  /** Closes the tar with its zero blocks. Without it the tar never ends well. */
  end(): void;
  fail(error: unknown): void;
}

/** A backup's tree as a pax tar. Entries may be added at once; they are written one after the other. */
export function createTarWriter(): TarWriter {
  const pack = tarPack();
  // The consumer hears of it by its iterator, the producer by `add`; without a listener it would end the process.
  pack.on("error", () => undefined);
  let bytes = 0;
  let failure: Error | undefined;
  let last: Promise<unknown> = Promise.resolve();

  const write = async (entry: TarEntry, body?: AsyncIterable<Uint8Array> | readonly Uint8Array[]) => {
    const header = toTarHeader(entry);
    const { promise: ended, resolve, reject } = Promise.withResolvers<void>();
    ended.catch(() => undefined);
    const sink = pack.entry(header, (error) => (error ? reject(error) : resolve()));
    sink.on("error", reject);
    if (entry.type === "directory" || entry.type === "symlink") {
      await ended;
      return { torn: false };
    }
    const { torn } = await writeExactly(header.size, body, async (chunk) => {
      if (!sink.write(chunk)) {
        const drained = Promise.withResolvers<void>();
        sink.once("drain", drained.resolve);
        await Promise.race([drained.promise, ended]);
      }
      bytes += chunk.byteLength;
    });
    sink.end(null);
    await ended;
    return { torn };
  };

  const destroy = (error: unknown): Error => {
    const cause = toStillpointError(error, "Cannot write a backup's tar");
    failure ??= cause;
    pack.destroy(cause);
    return cause;
  };

  const inTurn = <Result>(work: () => Promise<Result>): Promise<Result> => {
    const added = last.then(async () => {
      try {
        return await work();
      } catch (error) {
        // Half an entry cannot be taken back: the tar is worth nothing from here on.
        throw destroy(error);
      }
    });
    last = added.catch(() => undefined);
    return added;
  };

  return {
    stream: joined(pack, () => failure),
    get bytes() {
      return bytes;
    },
    add: (entry, body) =>
      inTurn(async () => {
        const result = await write(entry, body);
        if (result.torn) await write({ type: "torn", path: entry.path });
        return result;
      }),
    addBodiless: (entries) =>
      inTurn(async () => {
        if (entries.length === 0) return;
        const lines = encodeBodiless(entries);
        await write({ type: "entries", path: ENTRIES_PATH, size: lines.length }, [lines]);
      }),
    covers: (range) => inTurn(async () => void (await write({ type: "log", path: LOG_PATH, range }))),
    end() {
      void last.then(() => {
        if (!pack.destroyed) pack.finalize();
      });
    },
    fail(error) {
      destroy(error);
    },
  };
}

async function* joined(pack: Pack, failureOf: () => Error | undefined): AsyncGenerator<Uint8Array> {
  // A stream that failed before anybody read it would keep its reader waiting.
  const failure = failureOf();
  if (failure !== undefined) throw failure;
  let held: Buffer[] = [];
  let size = 0;
  for await (const piece of pack as AsyncIterable<Buffer>) {
    held.push(piece);
    size += piece.byteLength;
    if (size < CHUNK_BYTES) continue;
    yield held.length === 1 ? piece : Buffer.concat(held);
    held = [];
    size = 0;
  }
  if (size > 0) yield Buffer.concat(held);
}
