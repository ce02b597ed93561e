import { chmod, mkdtempDisposable } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const PARTS_DIRECTORY = fileURLToPath(new URL("../../../.stillpoint/parts", import.meta.url));

/** An empty directory that other users may walk to, gone at the end of its scope. */
export async function temporaryDirectory(): Promise<AsyncDisposable & { readonly path: string }> {
  const directory = await mkdtempDisposable(join(tmpdir(), "stillpoint-parts-"));
  await chmod(directory.path, 0o755);
  return directory;
}
