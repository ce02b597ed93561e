import { isChunkType } from "../format/chunk-type.ts";
import type { IndexedPack } from "../format/index-format.ts";
import { NAME_LENGTH } from "../format/pack-format.ts";
import type { ChunkIndex, ChunkLocation } from "./chunk-index.ts";

const FIELDS = 4;
/** More than there are types. */
const TYPES = 32;

/** Names are uniformly spread already: their first bytes are the hash. */
function hashOf(name: Uint8Array): number {
  return (((name[0] ?? 0) | ((name[1] ?? 0) << 8) | ((name[2] ?? 0) << 16) | ((name[3] ?? 0) << 24)) >>> 0) as number;
}

/** An open-addressing table in typed arrays: 56 bytes a chunk, and nothing for the garbage collector to walk. */
export function memoryChunkIndex(): ChunkIndex {
  const packs: { packId: string; epoch: number; length: number }[] = [];
  const packNumbers = new Map<string, number>();
  let capacity = 1024;
  let names = new Uint8Array(capacity * NAME_LENGTH);
  /** pack number, position with the type in its lowest bits, offset, length */
  let fields = new Uint32Array(capacity * FIELDS);
  /** Entry number + 1; twice as many as entries, so that a search ends soon. */
  let slots = new Uint32Array(capacity * 2);
  let count = 0;
  /** Places of chunks that have more than one; few have. */
  const others = new Map<string, ChunkLocation[]>();
  let condemned: ReadonlySet<string> = new Set();

  function isAt(entry: number, name: Uint8Array): boolean {
    const at = entry * NAME_LENGTH;
    for (let i = 0; i < NAME_LENGTH; i++) if (names[at + i] !== name[i]) return false;
    return true;
  }

  /** The slot that holds the name, or the free one where it would go. */
  function slotOf(name: Uint8Array): number {
    const mask = slots.length - 1;
    let slot = hashOf(name) & mask;
    for (let held = slots[slot] ?? 0; held !== 0 && !isAt(held - 1, name); held = slots[slot] ?? 0)
      slot = (slot + 1) & mask;
    return slot;
  }

  function grow(): void {
    capacity *= 2;
    const longer = new Uint8Array(capacity * NAME_LENGTH);
    longer.set(names);
    names = longer;
    const more = new Uint32Array(capacity * FIELDS);
    more.set(fields);
    fields = more;
    slots = new Uint32Array(capacity * 2);
    for (let entry = 0; entry < count; entry++)
      slots[slotOf(names.subarray(entry * NAME_LENGTH, (entry + 1) * NAME_LENGTH))] = entry + 1;
  }

  /** The place that was added first. */
  function first(name: Uint8Array): ChunkLocation | undefined {
    const entry = (slots[slotOf(name)] ?? 0) - 1;
    if (entry < 0) return undefined;
    const [number = 0, place = 0, offset = 0, length = 0] = fields.subarray(entry * FIELDS, (entry + 1) * FIELDS);
    const pack = packs[number];
    const type = place % TYPES;
    if (pack === undefined || !isChunkType(type)) return undefined;
    return { packId: pack.packId, epoch: pack.epoch, position: Math.floor(place / TYPES), offset, length, type };
  }

  /** Places in packs that are not gone. */
  function places(name: Uint8Array): ChunkLocation[] {
    const found = first(name);
    if (found === undefined) return [];
    const all = others.size === 0 ? [found] : [found, ...(others.get(Buffer.from(name).toString("hex")) ?? [])];
    return all.filter(({ packId }) => packNumbers.has(packId));
  }

  function leanOn(name: Uint8Array): ChunkLocation | undefined {
    return places(name).find(({ packId }) => !condemned.has(packId));
  }

  return {
    get chunks() {
      return count;
    },
    add({ packId, epoch, length, entries }: IndexedPack) {
      if (packNumbers.has(packId)) return;
      packNumbers.set(packId, packs.length);
      packs.push({ packId, epoch, length });
      entries.forEach((entry, position) => {
        if (count === capacity) grow();
        const slot = slotOf(entry.name);
        const { type, offset, length } = entry;
        if (slots[slot] !== 0) {
          const key = Buffer.from(entry.name).toString("hex");
          others.set(key, [...(others.get(key) ?? []), { packId, epoch, position, offset, length, type }]);
          return;
        }
        names.set(entry.name, count * NAME_LENGTH);
        fields.set([packs.length - 1, position * TYPES + type, offset, length], count * FIELDS);
        slots[slot] = ++count;
      });
    },
    locate: (name) => leanOn(name) ?? places(name)[0],
    leanOn,
    condemn(these) {
      condemned = these;
    },
    forget(packIds) {
      for (const packId of packIds) packNumbers.delete(packId);
    },
    packLength(packId) {
      const number = packNumbers.get(packId);
      return number === undefined ? undefined : packs[number]?.length;
    },
    packIds: () => packNumbers.keys(),
  };
}
