const ID_LENGTH = 32;
/** No number: numbers in the table are one higher. */
const FREE = 0;

/**
 * Gives each pack id a number, from 0 on, in some 45 bytes: a map of strings takes three times as many, and there are
 * millions. Ids are random, so that their first bytes serve as their hash.
 */
export function packNumbers() {
  let ids = Buffer.alloc(64 * ID_LENGTH);
  let table = new Uint32Array(128);
  let count = 0;
  const wanted = Buffer.alloc(ID_LENGTH);

  /** Where in the table the id is, or would be. */
  function slotOf(id: Buffer, from: number): number {
    const mask = table.length - 1;
    for (let slot = id.readUInt32BE(from) & mask; ; slot = (slot + 1) & mask) {
      const entry = table[slot] ?? FREE;
      if (entry === FREE) return slot;
      const at = (entry - 1) * ID_LENGTH;
      if (ids.compare(id, from, from + ID_LENGTH, at, at + ID_LENGTH) === 0) return slot;
    }
  }

  function grow(): void {
    const more = Buffer.alloc(2 * ids.length);
    ids.copy(more);
    ids = more;
    table = new Uint32Array(2 * table.length);
    for (let number = 0; number < count; number++) table[slotOf(ids, number * ID_LENGTH)] = number + 1;
  }

  const find = (packId: string): number => {
    wanted.write(packId, 0, "hex");
    return slotOf(wanted, 0);
  };

  return {
    get count() {
      return count;
    },
    /** Undefined where it has none. */
    of(packId: string): number | undefined {
      const entry = table[find(packId)] ?? FREE;
      return entry === FREE ? undefined : entry - 1;
    },
    /** Its number, a new one where it has none. */
    give(packId: string): number {
      const slot = find(packId);
      const entry = table[slot] ?? FREE;
      if (entry !== FREE) return entry - 1;
      wanted.copy(ids, count * ID_LENGTH);
      table[slot] = ++count;
      if (count * ID_LENGTH === ids.length) grow();
      return count - 1;
    },
    idOf: (number: number) => ids.toString("hex", number * ID_LENGTH, (number + 1) * ID_LENGTH),
  };
}
