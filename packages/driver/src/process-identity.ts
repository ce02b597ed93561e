import { readFile } from "node:fs/promises";

/** A process, not to be mixed up with a later one of the same number. `start` is in clock ticks since the machine booted. */
export type ProcessIdentity = { pid: number; start: string };

/** Undefined: there is no such process (any more). */
export async function processIdentity(pid: number): Promise<ProcessIdentity | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, "latin1");
    // The command, in brackets, may hold anything; what counts comes after the last bracket.
    const [state, ...fields] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const start = fields[18];
    return start === undefined || state === "Z" || state === "X" ? undefined : { pid, start };
  } catch (error) {
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ESRCH")) {
      return undefined;
    }
    throw error;
  }
}

export async function isAlive({ pid, start }: ProcessIdentity): Promise<boolean> {
  return (await processIdentity(pid))?.start === start;
}
