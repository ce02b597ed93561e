import type { ObjectStore } from "@stillpoint/object-store/object-store";
import type { ChunkType } from "../format/chunk-type.ts";
import { HEADER_LENGTH } from "../format/header.ts";
import type { IndexedPack } from "../format/index-format.ts";
import { packName } from "../format/kinds.ts";
import { encodePackTrailer, newPackKey, type PackEntry, type PackKey } from "../format/pack-format.ts";
import type { EpochKeys } from "../format/sealed-object.ts";
import { giveBack } from "../workers/give-back.ts";

export type OpenPack = PackKey & {
  packId: string;
  /** In order of position; undefined while the chunk is being sealed. */
  entries: (PackEntry | undefined)[];
  parts: Uint8Array[];
  length: number;
  /** Chunks that have a position and did not arrive yet. */
  awaited: number;
  /** Their plain bytes. */
  awaitedBytes: number;
  closed: boolean;
};

export type PackWriterOptions = {
  store: ObjectStore;
  keys: EpochKeys;
  random: (length: number) => Uint8Array;
  target: number;
  epoch: number;
  /** Stores a pack; resolves when it is durable. */
  upload: (work: () => Promise<void>) => void;
  /** The pack is about to be stored. */
  begun: (packId: string) => void;
  stored: (pack: IndexedPack) => void;
  signal: AbortSignal;
};

/** Gathers sealed chunks into packs. Positions are given out before sealing, offsets in the order of arrival. */
export function packWriter(options: PackWriterOptions) {
  let open: OpenPack | undefined;
  /** How long sealed bytes are for plain ones, so far: what is on its way to a pack counts by it. */
  let ratio = 1;
  let sealedBytes = 0;
  let openedBytes = 0;

  function begin(): OpenPack {
    const packId = options.random(32);
    const key = newPackKey(packId, options.keys);
    return {
      ...key,
      packId: Buffer.from(packId).toString("hex"),
      entries: [],
      parts: [key.header],
      length: HEADER_LENGTH,
      awaited: 0,
      awaitedBytes: 0,
      closed: false,
    };
  }

  function finish(pack: OpenPack): void {
    const entries = pack.entries.filter((entry) => entry !== undefined);
    const body = [...pack.parts, ...encodePackTrailer(pack, entries)];
    const length = body.reduce((sum, part) => sum + part.length, 0);
    const { packId } = pack;
    options.upload(async () => {
      options.begun(packId);
      // An id is of one attempt: the same name twice would be the same nonces over other bytes.
      await options.store.put(packName(packId), body, { ifAbsent: true, signal: options.signal });
      for (const part of pack.parts) giveBack(part);
      options.stored({ packId, epoch: options.epoch, length, entries });
    });
  }

  function close(pack: OpenPack): void {
    pack.closed = true;
    if (open === pack) open = undefined;
    if (pack.awaited === 0 && pack.entries.length > 0) finish(pack);
  }

  return {
    /** The pack that the next `count` chunks with so many plain bytes go to, and their positions in it. */
    assign(count: number, plainBytes: number): { pack: OpenPack; first: number } {
      if (open !== undefined && open.length + open.awaitedBytes * ratio >= options.target) close(open);
      open ??= begin();
      open.awaitedBytes += plainBytes;
      const first = open.entries.length;
      for (let i = 0; i < count; i++) open.entries.push(undefined);
      open.awaited += count;
      return { pack: open, first };
    },
    /** The sealed bytes of chunks at positions from `first` on, one after the other. */
    deliver(
      pack: OpenPack,
      first: number,
      names: readonly Uint8Array[],
      type: ChunkType,
      sealed: readonly Uint8Array[],
      lengths: readonly number[],
      plainBytes: number,
    ): void {
      let offset = pack.length;
      names.forEach((name, i) => {
        const length = lengths[i] ?? 0;
        pack.entries[first + i] = { name, type, offset, length };
        offset += length;
      });
      pack.parts.push(...sealed);
      sealedBytes += offset - pack.length;
      openedBytes += plainBytes;
      ratio = sealedBytes / openedBytes;
      pack.length = offset;
      pack.awaitedBytes -= plainBytes;
      pack.awaited -= names.length;
      if (!pack.closed && pack.length >= options.target) close(pack);
      else if (pack.closed && pack.awaited === 0) finish(pack);
    },
    /** No chunk follows: the open pack is stored as it is, once its chunks are there. */
    end(): void {
      if (open !== undefined) close(open);
    },
  };
}
