import { execFile } from "node:child_process";
import { cpus, freemem, platform, release, totalmem } from "node:os";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** What the figures were measured on; without it they say nothing. */
export type Machine = { cpu: string; cores: number; memoryGiB: number; system: string; node: string };

const TOUCHED_GIB = 4;

/** Memory that is free is made as good as memory that was used before, for all that is measured next. */
export async function touchMemory(): Promise<void> {
  const gib = Math.min(TOUCHED_GIB, Math.floor(freemem() / 2 ** 30) - 1);
  if (gib < 1) return;
  await promisify(execFile)(process.execPath, [
    fileURLToPath(new URL("touch-memory.ts", import.meta.url)),
    String(gib),
  ]);
}

export function thisMachine(): Machine {
  const [first] = cpus();
  return {
    cpu: first?.model.trim() ?? "unknown",
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()}`,
    node: process.version,
  };
}
