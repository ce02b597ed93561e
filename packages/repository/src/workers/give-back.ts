/** Smaller buffers may lie in memory that others share. */
const OWN = 65_536;

/**
 * Gives a large buffer's memory back at once: nobody may look at it again. The language frees it only when it next collects,
 * which it does by its own heap's size and not by what lies outside.
 */
export function giveBack(bytes: Uint8Array): void {
  const { buffer } = bytes;
  if (buffer instanceof ArrayBuffer && bytes.byteOffset === 0 && bytes.byteLength >= OWN) buffer.transfer(0);
}
