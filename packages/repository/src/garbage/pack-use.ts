/** Which chunks of which packs are used: a bit for each position. Bounded by the packs, not by the chunks' names. */
export function packUse() {
  const packs = new Map<string, Uint8Array>();

  return {
    /** True where this chunk was not in use before. */
    add({ packId, position }: { packId: string; position: number }): boolean {
      const at = position >>> 3;
      const bit = 1 << (position & 7);
      let bits = packs.get(packId) ?? new Uint8Array(0);
      if (bits.length <= at) {
        const longer = new Uint8Array(Math.max(8, 2 * at + 1));
        longer.set(bits);
        bits = longer;
        packs.set(packId, bits);
      }
      const before = bits[at] ?? 0;
      bits[at] = before | bit;
      return (before & bit) === 0;
    },
    has: (packId: string) => packs.has(packId),
    uses(packId: string, position: number): boolean {
      return (((packs.get(packId)?.[position >>> 3] ?? 0) >>> (position & 7)) & 1) === 1;
    },
    packIds: () => packs.keys(),
    get size() {
      return packs.size;
    },
    drop: (packId: string) => packs.delete(packId),
  };
}
export type PackUse = ReturnType<typeof packUse>;
