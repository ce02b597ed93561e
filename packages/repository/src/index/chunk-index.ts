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

/**
 * Where each chunk lies. Holds only what is durable and listed in an index object. One chunk may lie in several packs: two
 * writers at once, or one that was copied out of a condemned pack.
 */
export interface ChunkIndex {
  readonly chunks: number;
  add(pack: IndexedPack): void;
  /** Where to read a chunk; in a condemned pack only where no other has it. */
  locate(name: Uint8Array): ChunkLocation | undefined;
  /** What a new backup may lean on: as `locate`, and never in a condemned pack. */
  leanOn(name: Uint8Array): ChunkLocation | undefined;
  /** The packs that count as condemned from now on, instead of those before. Need not be kept on disk. */
  condemn(packs: ReadonlySet<string>): void;
  /** These packs are gone: no chunk is located in them any more. */
  forget(packIds: Iterable<string>): void;
  /** The length that a pack must have, or undefined where it is not listed. */
  packLength(packId: string): number | undefined;
  packIds(): Iterable<string>;
}
