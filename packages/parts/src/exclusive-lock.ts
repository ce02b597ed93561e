import { spawn } from "node:child_process";
import { once } from "node:events";

/**
 * Holds an exclusive lock on `path` until disposed. The kernel's lock, held by a `flock` child whose input is a pipe of
 * ours: when this process dies in whatever way, the pipe closes and the lock is free. A file with a pid in it would
 * need guesses about who is still alive.
 */
export async function exclusiveLock(path: string, onWait: () => void): Promise<AsyncDisposable> {
  const holder = spawn("flock", [path, "sh", "-c", "echo held; exec cat"], { stdio: ["pipe", "pipe", "inherit"] });
  const closed = once(holder, "close");
  const waiting = setTimeout(onWait, 1_000);
  try {
    await Promise.race([
      once(holder.stdout, "data"),
      closed.then(() => {
        throw new Error(`flock ended before it held ${path}`);
      }),
    ]);
  } finally {
    clearTimeout(waiting);
  }
  return {
    async [Symbol.asyncDispose]() {
      holder.stdin.end();
      await closed;
    },
  };
}
