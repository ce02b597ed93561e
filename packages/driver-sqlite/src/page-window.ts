/** The newest version of each page that was read since the last time they were given away, in memory. */
export interface PageWindow {
  readonly count: number;
  readonly bytes: number;
  has(page: number): boolean;
  /** Where a page's bytes are to be written. */
  place(page: number): Buffer;
  /** Their numbers, big-endian, and their bytes in the same order; both are the window's own until it is cleared. */
  contents(): { numbers: Buffer; pages: Buffer };
  clear(): void;
}

/** What is kept of an empty window, so that the next need not be made anew. */
const KEPT_BYTES = 4 << 20;
const FIRST_PAGES = 64;

export function pageWindow(pageSize: number): PageWindow {
  const places = new Map<number, number>();
  let bytes = Buffer.allocUnsafeSlow(FIRST_PAGES * pageSize);
  return {
    get count() {
      return places.size;
    },
    get bytes() {
      return places.size * pageSize;
    },
    has: (page) => places.has(page),
    place(page) {
      const place = places.get(page) ?? places.size;
      places.set(page, place);
      if ((place + 1) * pageSize > bytes.byteLength) {
        const longer = Buffer.allocUnsafeSlow(bytes.byteLength * 2);
        bytes.copy(longer);
        bytes = longer;
      }
      return bytes.subarray(place * pageSize, (place + 1) * pageSize);
    },
    contents() {
      const numbers = Buffer.alloc(places.size * 4);
      for (const [page, place] of places) numbers.writeUInt32BE(page, place * 4);
      return { numbers, pages: bytes.subarray(0, places.size * pageSize) };
    },
    clear() {
      // As long as it is used it is kept: memory of this size that is made anew each second is much work for a collector.
      const isFarTooLong = bytes.byteLength > KEPT_BYTES && places.size * pageSize < bytes.byteLength / 8;
      places.clear();
      if (isFarTooLong) bytes = Buffer.allocUnsafeSlow(FIRST_PAGES * pageSize);
    },
  };
}
