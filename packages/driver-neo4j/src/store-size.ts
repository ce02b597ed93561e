import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";

/** Bytes of a database's files; one that goes meanwhile counts for nothing. */
export async function storeSize(directory: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const found = await stat(join(entry.parentPath, entry.name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
    });
    bytes += found?.size ?? 0;
  }
  return bytes;
}
