const BLOCK_BYTES = 512;
const ZEROS = Buffer.alloc(BLOCK_BYTES);

/**
 * Pure: how much of a log's bytes a server replays. What a segment was padded with when it was closed before it was full is zeros,
 * and no server looks at it: counted, a segment with a row in it would be 16 MiB that are replayed in no time.
 */
export function bytesToReplay(log: Uint8Array): number {
  let count = 0;
  for (let at = 0; at < log.length; at += BLOCK_BYTES) {
    const block = log.subarray(at, at + BLOCK_BYTES);
    if (ZEROS.compare(block, 0, block.length, 0, block.length) !== 0) count += block.length;
  }
  return count;
}
