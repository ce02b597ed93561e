import { chmod, lchown, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { DriverContext } from "@stillpoint/driver/driver";
import { type Isolation, isolate } from "@stillpoint/driver/isolation";

/** What a server on a restored tree runs in: it sees that tree, its programs, and a directory of its own. */
export async function isolateTree(
  directory: string,
  bin: string,
  { directory: own, tools, signal }: Pick<DriverContext, "directory" | "tools" | "signal">,
): Promise<Isolation> {
  await using isolated = new AsyncDisposableStack();
  const keep = [directory, bin];
  const isolation = isolated.use(
    await isolate({ directory: own, keep, user: tools.serverUser, open: tools.openSandboxes, signal }),
  );
  await giveTo(isolation, own, directory);
  isolated.move();
  return isolation;
}

/** The server's account owns the tree; others are kept out, or PostgreSQL refuses to start. */
export async function giveTo({ account }: Isolation, own: string, directory: string): Promise<void> {
  if (account !== undefined) {
    const { uid, gid } = account;
    await lchown(own, uid, gid);
    await lchown(directory, uid, gid);
    for (const path of await readdir(directory, { recursive: true })) await lchown(join(directory, path), uid, gid);
  }
  await chmod(directory, 0o700);
}
