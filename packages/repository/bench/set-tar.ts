import { open } from "node:fs/promises";
import { join } from "node:path";
import { createTarWriter } from "@stillpoint/driver/tar-writer";
import type { SetFile } from "./mixed-set.ts";

const READ_BYTES = 1 << 20;

async function* bodyOf(path: string): AsyncGenerator<Uint8Array> {
  await using file = await open(path, "r");
  for (;;) {
    const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
    const { bytesRead } = await file.read(buffer, 0, READ_BYTES);
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
        bodyOf(join(root, path)),
      );
    writer.end();
  };
  add().catch((error: unknown) => writer.fail(error));
  return writer.stream;
}
