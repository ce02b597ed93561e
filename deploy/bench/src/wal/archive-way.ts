import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, rename } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { runTool } from "../capture/tool-on-path.ts";

const COMMAND = [
  "--disable-warning=ExperimentalWarning",
  fileURLToPath(import.meta.resolve("@stillpoint/cli/main")),
  "wal",
];

/** One after the other, as a server starts it: what it does with a file, by its path or name. */
export type ArchiveWay = {
  push: (path: string) => Promise<unknown>;
  fetch: (name: string, to: string) => Promise<unknown>;
};

/** A Node for each file. */
export function byCommand(pushing: Record<string, string>, fetching: Record<string, string>): ArchiveWay {
  return {
    push: (path) => runTool(process.execPath, [...COMMAND, "push", path], pushing),
    fetch: (name, to) => runTool(process.execPath, [...COMMAND, "fetch", name, to], fetching),
  };
}

/** A copy in a directory, which is not durable when it is made. */
export function byCopy(archive: string): ArchiveWay {
  return {
    push: (path) => runTool("cp", [path, archive]),
    fetch: (name, to) => runTool("cp", [join(archive, name), to]),
  };
}

/** The helper that stays, and what the settings that it prints start. */
export async function startServing(
  directory: string,
  environment: Record<string, string>,
): Promise<ArchiveWay & AsyncDisposable> {
  await mkdir(directory, { recursive: true });
  const { PATH = "", HOME = "" } = process.env;
  const child = spawn(process.execPath, [...COMMAND, "serve", "--directory", directory], {
    env: { PATH, HOME, ...environment },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  const settings = new Map<string, string>();
  for await (const line of createInterface({ input: child.stdout })) {
    const [, name = "", setting = ""] = /^(\w+) = '(.*)'$/.exec(line) ?? [];
    settings.set(name, setting);
    if (settings.size === 1) break;
  }
  const start = async (name: string, cwd: string, f: string, p: string) => {
    const text = settings.get(name)?.replaceAll("%f", f).replaceAll("%p", p);
    if (text === undefined) throw new Error(`wal serve printed no ${name}`);
    const shell = spawn("sh", ["-c", text], { cwd, stdio: ["ignore", "ignore", "inherit"] });
    const [code] = await once(shell, "exit");
    if (code !== 0) throw new Error(`${name} ended with ${code}`);
  };
  return {
    async push(path) {
      const [name, wal] = [basename(path), dirname(path)];
      await start("archive_command", dirname(wal), name, `pg_wal/${name}`);
      // As the server notes it.
      const status = join(wal, "archive_status", name);
      await rename(`${status}.ready`, `${status}.done`);
    },
    fetch: (name, to) => start("restore_command", dirname(to), name, basename(to)),
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await exited;
    },
  };
}
