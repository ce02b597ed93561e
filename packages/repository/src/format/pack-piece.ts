// Apart from pack-format.ts, so that a worker thread loads neither schemas nor errors: that was half of its start.

/** What is bound into the seal of a piece of a pack: format, kind, epoch and id by the header, and its position. */
export function packPieceAad(header: Uint8Array, position: number): Uint8Array {
  const aad = Buffer.alloc(header.length + 4);
  aad.set(header, 0);
  aad.writeUInt32BE(position, header.length);
  return aad;
}
