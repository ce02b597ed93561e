import { createHash, type Hash } from "node:crypto";

export type FileSum = { sha256: string; bytes: number };

/** A file that is whole, and that nobody sees yet. Disposing one that was not published takes it back. */
export interface StagedFile extends AsyncDisposable, FileSum {
  /** OBJECT_EXISTS, and nothing changes, where the name is taken. */
  publish(): Promise<void>;
}

/** Where an export is written: a directory or a bucket. Names are as an object's: `a/b/c.ext`. */
export interface ExportPlace extends AsyncDisposable {
  /** For people; holds no credential. */
  readonly url: string;
  /** Of a file that is there; its bytes are read for it. */
  sumOf(name: string): Promise<FileSum | undefined>;
  /** Of a small file. */
  readText(name: string): Promise<string | undefined>;
  /** OBJECT_EXISTS where the name is taken. */
  createText(name: string, text: string): Promise<void>;
  replaceText(name: string, text: string): Promise<void>;
  /** `expectedBytes` may be wrong: it is what is known before the file is made. */
  stage(name: string, content: AsyncIterable<Uint8Array>, expectedBytes: number): Promise<StagedFile>;
  /** Takes away what runs that were cut off left of files whose names begin so. */
  clear(stem: string): Promise<void>;
}

/** The bytes as they come, counted and hashed. */
export function summing(content: AsyncIterable<Uint8Array>, signal: AbortSignal) {
  const hash: Hash = createHash("sha256");
  let bytes = 0;
  async function* through(): AsyncGenerator<Uint8Array> {
    for await (const piece of content) {
      signal.throwIfAborted();
      hash.update(piece);
      bytes += piece.length;
      yield piece;
    }
  }
  return { content: through(), sum: (): FileSum => ({ sha256: hash.digest("hex"), bytes }) };
}

export async function sumOfAll(content: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<FileSum> {
  const reading = summing(content, signal);
  for await (const _ of reading.content);
  return reading.sum();
}
