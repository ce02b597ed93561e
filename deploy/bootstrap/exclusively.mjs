import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";

/**
 * Runs `work` while no other process does, for the same directory. The kernel's lock, held by a child whose input is a
 * pipe of ours, so that it is free when we are gone, however that came. (The product has the same in TypeScript, which
 * the Node that runs this cannot read.)
 */
export async function exclusively(directory, say, work) {
  mkdirSync(directory, { recursive: true });
  const holder = spawn("flock", [join(directory, "lock"), "sh", "-c", "echo held; exec cat"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const closed = new Promise((resolve, reject) => {
    holder.on("close", resolve);
    holder.on("error", (error) => reject(new Error(`flock (util-linux) cannot be run: ${error.message}`)));
  });
  const waiting = setTimeout(() => say("another process is installing, waiting for it"), 1_000);
  try {
    const ended = closed.then(() => Promise.reject(new Error(`no lock on ${directory}`)));
    await Promise.race([once(holder.stdout, "data"), ended]);
    ended.catch(() => undefined); // from here on its end is what we ask for
    clearTimeout(waiting);
    return await work();
  } finally {
    clearTimeout(waiting);
    holder.stdin.end();
    await closed.catch(() => undefined); // told above, when it never held the lock
  }
}
