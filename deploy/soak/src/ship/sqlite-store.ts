import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { machineClock } from "@stillpoint/driver-sqlite/machine-clock";
import { positionOf } from "@stillpoint/driver-sqlite/ship-position";
import type { Probe, WrittenStore } from "./probes.ts";

const SCRIPT = fileURLToPath(new URL("sqlite-writer.ts", import.meta.url));

export type WrittenSqlite = WrittenStore & { path: string };

/** An SQLite database, and the application that writes to it. */
export async function startWrittenSqlite(
  directory: string,
  { everyMs, changes }: { everyMs: number; changes: number },
): Promise<WrittenSqlite> {
  const own = join(directory, "app");
  const path = join(own, "sessions.db");
  await mkdir(own, { recursive: true });
  const acked: Probe[] = [];
  let underWay: { n: number; beganMs: number } | undefined;
  let broken: string | undefined;
  let isEnding = false;

  const heard = (line: string) => {
    const [what, n, ms] = line.split(" ");
    const row = { n: Number(n), ms: Number(ms) };
    if (what === "b") {
      // It was killed between the commit and its word: the next one tells that the row is there.
      if (underWay !== undefined && underWay.n < row.n) acked.push({ ...underWay, ackedMs: row.ms });
      underWay = { n: row.n, beganMs: underWay?.n === row.n ? underWay.beganMs : row.ms };
    } else if (underWay !== undefined) {
      acked.push({ ...underWay, ackedMs: row.ms });
      underWay = undefined;
    }
  };
  const start = async (): Promise<ChildProcess> => {
    const flags = ["--disable-warning=ExperimentalWarning"];
    const child = spawn(process.execPath, [...flags, SCRIPT, path, String(everyMs), String(changes)], {
      stdio: ["ignore", "pipe", "pipe"],
      env: {},
    });
    const said: string[] = [];
    child.stderr?.on("data", (chunk: Buffer) => said.push(chunk.toString()));
    child.once("exit", (code, signal) => {
      if (!isEnding) broken = `the writer ended with ${signal ?? code}: ${said.join("").slice(-500)}`;
    });
    if (child.stdout === null) throw new TypeError("unreachable: its standard output is a pipe");
    const lines = createInterface({ input: child.stdout });
    lines.on("line", heard);
    await once(lines, "line");
    return child;
  };
  const kill = async (child: ChildProcess) => {
    isEnding = true;
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "close"); // all that it said was heard
  };
  let child = await start();
  return {
    source: "sessions",
    kind: "sqlite",
    path,
    probes: () => ({ acked: [...acked], underWay }),
    broken: () => broken,
    async place() {
      const clock = await machineClock();
      if (clock === undefined) throw new Error("this machine has no clock that SQLite's log is told by");
      return positionOf(clock, clock.nowMs()).at;
    },
    async lose() {
      await kill(child);
      await rm(own, { recursive: true, force: true });
    },
    async crash() {
      await kill(child);
      isEnding = false;
      child = await start();
    },
    [Symbol.asyncDispose]: () => kill(child),
  };
}
