import { readFile } from "node:fs/promises";
import { codeOf } from "@stillpoint/driver/disk-error";

/**
 * The clock that positions are counted by. All processes of a machine see the same one, and whoever shares a database in
 * WAL mode shares the machine. It never goes back; with the machine's next start another stream begins.
 */
export type MachineClock = { stream: string; nowMs: () => number };

/** Undefined: this system has no name for the time since its start, so positions cannot be told. */
export async function machineClock(): Promise<MachineClock | undefined> {
  try {
    const boot = await readFile("/proc/sys/kernel/random/boot_id", "utf8");
    return { stream: boot.trim().replaceAll("-", ""), nowMs: () => Number(process.hrtime.bigint() / 1_000_000n) };
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}
