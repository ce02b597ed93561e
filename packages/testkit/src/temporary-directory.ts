import { chmod, mkdtempDisposable } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export type TemporaryDirectory = AsyncDisposable & { readonly path: string };

/** An empty directory that is gone at the end of its scope. Open to other users, for servers that do not run as root. */
export async function temporaryDirectory(name = "test"): Promise<TemporaryDirectory> {
  const directory = await mkdtempDisposable(join(tmpdir(), `stillpoint-${name}-`));
  await chmod(directory.path, 0o755);
  return directory;
}
