import type { ChunkType } from "../format/chunk-type.ts";
import type { IndexContent } from "../format/index-format.ts";

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
 * Where each chunk lies: what the index objects say that this process knows of. Holds only what is durable and listed in
 * one of them. One chunk may lie in several packs: two writers at once, or one that was copied out of a condemned pack.
 * Lies on disk, with a fixed cache in memory; calls are synchronous and take some microseconds.
 */
export interface ChunkIndex {
  /** Places of chunks: one that lies in two packs counts twice. */
  readonly chunks: number;
  readonly packs: number;
  /** Takes up what an index object lists, once: the object is durable, and `object` its name. */
  add(object: string, content: IndexContent): void;
  /** Where to read a chunk; in a condemned pack only where no other has it. */
  locate(name: Uint8Array): ChunkLocation | undefined;
  /** All places of a chunk, those in condemned packs last. */
  places(name: Uint8Array): ChunkLocation[];
  /** What a new backup may lean on: as `locate`, and never in a condemned pack. */
  leanOn(name: Uint8Array): ChunkLocation | undefined;
  /** The packs that count as condemned from now on, instead of those before. Not kept on disk. */
  condemn(packs: ReadonlySet<string>): void;
  isCondemned(packId: string): boolean;
  /** These packs are gone: no chunk is located in them any more. */
  forget(packIds: Iterable<string>): void;
  /** The length that a pack must have, or undefined where it is not listed. */
  packLength(packId: string): number | undefined;
  packIds(): Iterable<string>;
  /** How many chunks a pack holds; 0 where it is not listed. */
  chunksIn(packId: string): number;
  /** Whether the index object needs no reading: it was read, or another that was read replaces it. */
  knows(object: string): boolean;
  /** Index objects that were read and are not replaced. */
  objects(): string[];
  /** Those of them that list a pack. */
  objectsOf(packId: string): string[];
  /** Notes a pack that is about to be stored: should this process end before it is listed, a later one looks for it. */
  expect(packId: string): void;
  /** Whoever was to store these packs does so no more; those that came and are not listed may be adopted. */
  release(packIds: Iterable<string>): void;
}
