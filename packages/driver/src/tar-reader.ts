import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { StillpointError } from "@stillpoint/contracts/errors";
import { extract, type Header } from "tar-stream";
import { filled } from "./holes.ts";
import { fromTarHeader, type TarEntry } from "./tar-entry.ts";

const BLOCK = 512;

export type TarItem = { entry: TarEntry; body: AsyncIterable<Uint8Array> };

/**
 * Reads a tar; holes that bodies leave out are filled. Entry by entry; a body is read before the next entry is asked for, or skipped. Throws TAR_INVALID for
 * what is no tar and for one that does not end with its two zero blocks, even if it was cut between two entries.
 */
export async function* readTar(source: AsyncIterable<Uint8Array>): AsyncGenerator<TarItem> {
  const parser = extract();
  let broken: { error: unknown } | undefined;
  let total = 0;
  let end = 0;
  let tail: Buffer = Buffer.alloc(0);
  const counted = async function* () {
    try {
      for await (const bytes of source) {
        total += bytes.byteLength;
        const piece = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
        tail = Buffer.concat([tail, piece.subarray(-2 * BLOCK)]).subarray(-2 * BLOCK);
        yield piece;
      }
    } catch (error) {
      broken = { error };
      throw error;
    }
  };
  const translate = (error: unknown) =>
    error instanceof StillpointError || error === broken?.error
      ? error
      : new StillpointError("TAR_INVALID", {
          what: "Cannot read a tar",
          why: error instanceof Error ? error.message : String(error),
          cause: error,
        });
  // A tar that ends within a body fails where the body is read, and not here.
  const translated = async function* (body: AsyncIterable<Uint8Array>) {
    try {
      yield* body;
    } catch (error) {
      throw translate(error);
    }
  };
  const fed = pipeline(Readable.from(counted(), { objectMode: false }), parser);
  fed.catch(() => undefined);
  try {
    for await (const stream of parser) {
      // The type declarations do not know the field.
      const header: Header & { byteOffset?: number } = stream.header;
      end = (header.byteOffset ?? 0) + Math.ceil(header.size / BLOCK) * BLOCK;
      // streamx leaves open what a stream yields; a tar's are buffers.
      const body = translated(stream as AsyncIterable<Uint8Array>);
      const found = fromTarHeader(header);
      if (found.type !== "file" || found.holes === undefined) yield { entry: found, body };
      else {
        const { holes, ...entry } = found;
        yield { entry, body: filled(body, holes) };
      }
      stream.resume();
    }
    await fed;
  } catch (error) {
    throw translate(error);
  } finally {
    parser.destroy();
  }
  if (total < end + 2 * BLOCK || tail.some((byte) => byte !== 0)) {
    throw new StillpointError("TAR_INVALID", { what: "Cannot read a tar", why: "it ends before its last blocks" });
  }
}
