import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export type TemporaryDirectory = AsyncDisposable & { readonly path: string };

/** An empty directory that is gone at the end of its scope. Open to other users, for servers that do not run as root. */
export async function temporaryDirectory(name = "test"): Promise<TemporaryDirectory> {
  const path = await mkdtemp(join(tmpdir(), `stillpoint-${name}-`));
  await chmod(path, 0o755);
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
