import { readdir, readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

/** Every living process below `root`, by the parents that /proc tells. */
export async function descendants(root: number): Promise<number[]> {
  const children = new Map<number, number[]>();
  for (const entry of await readdir("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const stat = await processStat(Number(entry));
    if (stat !== undefined) children.set(stat.parent, [...(children.get(stat.parent) ?? []), Number(entry)]);
  }
  const below = (pid: number): number[] => (children.get(pid) ?? []).flatMap((child) => [child, ...below(child)]);
  return below(root);
}

/** A zombie is dead: in a container whose first process reaps nobody it stays listed for ever. */
export async function isAlive(pid: number): Promise<boolean> {
  const stat = await processStat(pid);
  return stat !== undefined && stat.state !== "Z" && stat.state !== "X";
}

/** Sends SIGKILL to all, and returns when none is left. */
export async function killAll(pids: readonly number[]): Promise<void> {
  for (const pid of pids) signalIfAlive(pid, "SIGKILL");
  for (const pid of pids) while (await isAlive(pid)) await delay(5);
}

export function signalIfAlive(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // The process ended in between, which is what a signal to it was for.
    if (!(error instanceof Error) || Reflect.get(error, "code") !== "ESRCH") throw error;
  }
}

/** /proc/<pid>/stat: `pid (name, which may hold spaces and parentheses) state parent …`. */
async function processStat(pid: number): Promise<{ state: string; parent: number } | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const [state, parent] = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { state: state ?? "X", parent: Number(parent) };
}
