/** What every file system and disk takes as the unit of a direct write; some take less. */
export const DIRECT_UNIT = 4096;
/** Below it a trip to the disk costs more than the copy that a direct write saves. */
export const DIRECT_LEAST = 256 * 1024;
export const ALIGNED_BYTES = 1024 * 1024;

/** The part that is needed of what the language's libraries declare for browsers only. */
declare const WebAssembly: { Memory: new (size: { initial: number }) => { buffer: ArrayBuffer } };

const PAGE_OF_WEBASSEMBLY = 65_536;
const free: Uint8Array[] = [];

/** Memory of WebAssembly begins at a page, which a direct write needs, and which no Buffer promises. */
export function takeAligned(): Uint8Array {
  const initial = ALIGNED_BYTES / PAGE_OF_WEBASSEMBLY;
  return free.pop() ?? new Uint8Array(new WebAssembly.Memory({ initial }).buffer);
}

/** For whoever takes some next: making it is dear. */
export function putAligned(memory: Uint8Array): void {
  free.push(memory);
}

/** The file system or the disk does not take it directly after all. */
export function isRefused(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EINVAL";
}

/** The same open file by a second descriptor, past the page cache. Linux has it, and most of its file systems. */
export function directPath(fd: number): string {
  return `/proc/self/fd/${fd}`;
}
