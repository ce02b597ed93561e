import { timingSafeEqual } from "node:crypto";
import { chunkName } from "../format/chunk-name.ts";
import type { ChunkType } from "../format/chunk-type.ts";
import { unpack } from "../format/codec.ts";
import { packPieceAad } from "../format/pack-piece.ts";
import * as aead from "../keys/aead.ts";
import { giveBack } from "./give-back.ts";
import type { OpenTask, WorkerSetup } from "./tasks.ts";

/** No chunk's plain bytes are longer. */
const LONGEST = 16 * 1024 * 1024;

export function nameOf({ nameKeys }: WorkerSetup, bytes: Uint8Array, epoch: number, type: ChunkType): Buffer {
  const keys = nameKeys.get(epoch);
  if (keys === undefined) throw new Error(`epoch ${epoch} is not known`);
  return chunkName(keys, type, bytes);
}

/** The plain bytes of a chunk, which may lie in `range`, or why they are not what was stored. */
export function openChunk(
  setup: WorkerSetup,
  { header, key, epoch }: Pick<OpenTask, "header" | "key" | "epoch">,
  range: Uint8Array,
  chunk: OpenTask["chunks"][number],
): Buffer | string {
  const sealed = range.subarray(chunk.start, chunk.start + chunk.length);
  if (sealed.length < chunk.length) return `chunk ${chunk.position}: it is cut short`;
  const packed = aead.open(key, chunk.position, packPieceAad(header, chunk.position), sealed);
  if (packed === undefined) return `chunk ${chunk.position}: its bytes are not those that were sealed`;
  const plain = unpack(packed, LONGEST);
  if (typeof plain !== "string" && plain.buffer !== packed.buffer) giveBack(packed);
  if (typeof plain === "string") return `chunk ${chunk.position}: ${plain}`;
  if (!timingSafeEqual(nameOf(setup, plain, epoch, chunk.type), chunk.name))
    return `chunk ${chunk.position}: its content is not what its name says`;
  return plain;
}
