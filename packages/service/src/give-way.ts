import { readdir, writeFile } from "node:fs/promises";
import { setPriority } from "node:os";

/**
 * Lets this process, and whatever it starts, give way to others on the machine. `nice`: 0 to 19, as nice(1) has it. On Linux a priority
 * belongs to a thread, and where the kernel groups processes by session (sched(7), autogroup) only the group's counts against others.
 */
export async function giveWay(nice: number): Promise<void> {
  const threads = await orNot(readdir("/proc/self/task"));
  for (const thread of threads ?? ["0"]) setPriority(Number(thread), nice);
  await orNot(writeFile("/proc/self/autogroup", String(nice)));
}

/** What this system does not have. */
async function orNot<T>(done: Promise<T>): Promise<T | undefined> {
  try {
    return await done;
  } catch (error) {
    if (error instanceof Error && "code" in error && ["ENOENT", "EACCES", "EROFS"].includes(String(error.code)))
      return undefined;
    throw error;
  }
}
