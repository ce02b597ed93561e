import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { isAlive, processIdentity } from "./process-identity.ts";

const RECORD = "sandbox.json";
/** Of the directories that `isolate` makes for sockets, whose paths must be short. */
export const SOCKET_DIRECTORY_PREFIX = join(tmpdir(), "sp-");

const record = z.object({
  processes: z.array(z.object({ pid: z.number().int().positive(), start: z.string() })),
  /** Directories elsewhere that go with it. */
  directories: z.array(z.string()),
});

/** Notes in a sandbox's directory what must go with it. */
export async function recordSandbox(directory: string, content: z.input<typeof record>): Promise<void> {
  await writeFile(join(directory, RECORD), JSON.stringify(record.parse(content)), { mode: 0o600 });
}

export interface ClaimedDirectory extends AsyncDisposable {
  readonly path: string;
}

/**
 * A directory below an agent's work directory, in whose name stands the process that it belongs to, so that there is no
 * moment at which it belongs to nobody. Servers run as another account, hence the mode.
 */
export async function claimDirectory(workDirectory: string, label: string): Promise<ClaimedDirectory> {
  const own = await processIdentity(process.pid);
  const path = await mkdtemp(join(workDirectory, `${label}.${process.pid}.${own?.start ?? "0"}.`));
  return {
    path,
    async [Symbol.asyncDispose]() {
      await rm(path, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

/** Tears down what agents that no longer live left below the work directory; the names of what is gone. */
export async function reapSandboxes(workDirectory: string): Promise<string[]> {
  const reaped: string[] = [];
  for (const entry of await readdir(workDirectory, { withFileTypes: true })) {
    const match = /^.+\.(\d+)\.(\d+)\.[^.]+$/.exec(entry.name);
    if (!entry.isDirectory() || match === null) continue;
    const [, pid = "", start = ""] = match;
    if (await isAlive({ pid: Number(pid), start })) continue;
    const directory = join(workDirectory, entry.name);
    for (const found of await recordsBelow(directory)) await tearDown(found);
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
    reaped.push(entry.name);
  }
  return reaped;
}

/** The sandbox's own directory, or one in it: a claimed directory holds at most that. */
async function recordsBelow(directory: string): Promise<string[]> {
  const inner = (await readdir(directory, { withFileTypes: true })).filter((entry) => entry.isDirectory());
  const paths = [directory, ...inner.map((entry) => join(directory, entry.name))].map((path) => join(path, RECORD));
  const found = await Promise.all(
    paths.map(async (path) => ((await readdir(dirname(path))).includes(RECORD) ? [path] : [])),
  );
  return found.flat();
}

async function tearDown(path: string): Promise<void> {
  let content: unknown;
  try {
    content = JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    // Killed while it wrote the record, hence before anything was started.
    if (error instanceof SyntaxError) return;
    throw error;
  }
  const { processes, directories } = record.parse(content);
  for (const each of processes) {
    if (!(await isAlive(each))) continue;
    process.kill(each.pid, "SIGKILL");
    while (await isAlive(each)) await delay(10);
  }
  for (const directory of directories) {
    if (directory.startsWith(SOCKET_DIRECTORY_PREFIX)) await rm(directory, { recursive: true, force: true });
  }
}
