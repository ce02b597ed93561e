import { cpus, platform, release, totalmem } from "node:os";

/** What the figures were measured on; without it they say nothing. */
export type Machine = { cpu: string; cores: number; memoryGiB: number; system: string; node: string };

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
