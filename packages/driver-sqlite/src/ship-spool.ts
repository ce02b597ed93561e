import { type FileHandle, open, rm } from "node:fs/promises";
import { diskError } from "@stillpoint/driver/disk-error";

/** Records of one stretch of the log in a file of ours, until the stretch is closed. */
export interface ShipSpool extends AsyncDisposable {
  readonly bytes: number;
  append(bytes: Uint8Array): Promise<void>;
  read(from: number, to: number): AsyncGenerator<Buffer>;
  /** Takes back what was appended since. */
  cut(to: number): void;
}

const BLOCK_BYTES = 1 << 20;

export async function openSpool(path: string): Promise<ShipSpool> {
  const file: FileHandle = await open(path, "wx+", 0o600);
  let end = 0;
  return {
    get bytes() {
      return end;
    },
    async append(bytes) {
      try {
        for (let from = 0; from < bytes.byteLength; ) {
          const { bytesWritten } = await file.write(bytes, from, bytes.byteLength - from, end);
          from += bytesWritten;
          end += bytesWritten;
        }
      } catch (error) {
        throw diskError(error, "the agent's work directory");
      }
    },
    async *read(from, to) {
      for (let at = from; at < to; ) {
        const { bytesRead, buffer } = await file.read(Buffer.alloc(Math.min(BLOCK_BYTES, to - at)), 0, undefined, at);
        if (bytesRead === 0) throw new TypeError("unreachable: it was written");
        at += bytesRead;
        yield buffer.subarray(0, bytesRead);
      }
    },
    cut(to) {
      end = to;
    },
    async [Symbol.asyncDispose]() {
      await file.close();
      await rm(path, { force: true });
    },
  };
}
