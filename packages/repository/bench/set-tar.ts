import { open } from "node:fs/promises";
import { join } from "node:path";
import { createTarWriter } from "@stillpoint/driver/tar-writer";
import type { BackupItem } from "../src/write/write-backup.ts";
import type { SetFile } from "./mixed-set.ts";

const READ_BYTES = 1 << 18;

async function* bodyOf(path: string, size: number): AsyncGenerator<Uint8Array> {
  await using file = await open(path, "r");
  const length = Math.min(size + 1, READ_BYTES);
  for (;;) {
    const buffer = Buffer.allocUnsafe(length);
    const { bytesRead } = await file.read(buffer, 0, length);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}

/** The files as the tar that an agent sends. */
export function tarOf(root: string, files: readonly SetFile[]): AsyncIterable<Uint8Array> {
  const writer = createTarWriter();
  const add = async () => {
    for (const { path, size, hint } of files)
      await writer.add(
        { type: "file", path, mode: 0o600, mtimeMs: 1_700_000_000_000, size, hint },
        bodyOf(join(root, path), size),
      );
    writer.end();
  };
  add().catch((error: unknown) => writer.fail(error));
  return writer.stream;
}

/** The files as they lie there. */
export async function* itemsOf(root: string, files: readonly SetFile[]): AsyncGenerator<BackupItem> {
  for (const { path, size, hint } of files)
    yield {
      entry: { type: "file", path, mode: 0o600, mtimeMs: 1_700_000_000_000, size, hint },
      file: join(root, path),
    };
}
