import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";

const IN_EACH = 1000;

/** Small files, each with bytes of its own, a thousand in a directory. */
export async function makeTree(root: string, files: number, signal: AbortSignal): Promise<void> {
  for (let at = 0; at < files; at += 1) {
    const directory = join(root, String(Math.floor(at / IN_EACH)));
    if (at % IN_EACH === 0) {
      await turn();
      signal.throwIfAborted();
      mkdirSync(directory, { recursive: true });
    }
    // Blocking: a million round trips would be most of the time.
    writeFileSync(join(directory, `file-${at}.json`), `{"id":${at},"name":"file number ${at}","of":${files}}\n`);
  }
}
