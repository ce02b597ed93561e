const ID_BYTES = 32;
const FIRST_CAPACITY = 1024;

export type PackSet = { readonly size: number; has(packId: string): boolean };

/** Pack ids that come in order, 32 bytes for each: a listing of a million packs stays small. */
export function packSet(): PackSet & { append(packId: string): void } {
  let ids = Buffer.alloc(FIRST_CAPACITY * ID_BYTES);
  let size = 0;
  return {
    get size() {
      return size;
    },
    append(packId) {
      if (ids.length === size * ID_BYTES) ids = Buffer.concat([ids, Buffer.alloc(ids.length)]);
      ids.write(packId, size++ * ID_BYTES, "hex");
    },
    has(packId) {
      const wanted = Buffer.from(packId, "hex");
      for (let low = 0, high = size; low < high; ) {
        const middle = (low + high) >>> 1;
        const order = ids.compare(wanted, 0, ID_BYTES, middle * ID_BYTES, (middle + 1) * ID_BYTES);
        if (order === 0) return true;
        if (order < 0) low = middle + 1;
        else high = middle;
      }
      return false;
    },
  };
}
