import type { ChunkType } from "../format/chunk-type.ts";
import type { IndexedPack } from "../format/index-format.ts";

export type ChunkLocation = {
  packId: string;
  epoch: number;
  /** Place in the pack's list, which its seal is bound to. */
  position: number;
  offset: number;
  length: number;
  type: ChunkType;
};

/** Where each chunk lies. Holds only what is durable and listed in an index object: what a new backup may lean on. */
export interface ChunkIndex {
  readonly chunks: number;
  add(pack: IndexedPack): void;
  locate(name: Uint8Array): ChunkLocation | undefined;
  /** The length that a pack must have, or undefined where it is not listed. */
  packLength(packId: string): number | undefined;
  packIds(): Iterable<string>;
}
