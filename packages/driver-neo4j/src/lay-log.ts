import { readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import type { LogRange } from "@stillpoint/contracts/log";
import { directoryTree } from "@stillpoint/driver/directory-tree";
import { isMissing } from "./file-error.ts";
import { logName } from "./log-position.ts";
import type { LogByte } from "./log-token.ts";
import { logDirectory } from "./store-capture.ts";
import { SYSTEM_LOG_IN_STRETCH } from "./system-log.ts";
import { splitTail } from "./tail-bytes.ts";

/** Puts a tail where its bytes belong in a restored tree. */
export async function layTail(
  directory: string,
  database: string,
  range: Pick<LogRange, "from" | "to">,
  tail: Uint8Array,
): Promise<void> {
  const { at, bytes, system } = splitTail(range, tail);
  if (bytes.length > 0) await lay(directory, database, at, bytes);
  if (system === undefined) return;
  const held = await sizeOf(join(directory, logDirectory("data", "system"), logName(system.at.logVersion)));
  // The base may hold more of it; and where something is missing before it, nothing can be laid behind the hole.
  const { offset } = system.at;
  if (held < offset || held >= offset + system.bytes.length) return;
  await lay(directory, "system", system.at, system.bytes);
}

async function lay(directory: string, database: string, at: LogByte, bytes: Uint8Array): Promise<void> {
  const tree = directoryTree(directory);
  const path = `${logDirectory("data", database)}/${logName(at.logVersion)}`;
  const place = at.offset > 0 ? { offset: at.offset } : {};
  const entry = { path, mode: 0o600, mtimeMs: 0, size: bytes.length, hint: "content", ...place } as const;
  await tree.add({ type: "file", ...entry }, Readable.from([bytes]));
  await tree.finish();
}

/** A closed stretch brings the system database's log as it was then; the base may hold more of it. */
export async function joinShippedSystemLog(directory: string): Promise<void> {
  const shipped = join(directory, SYSTEM_LOG_IN_STRETCH);
  const names = await readdir(shipped).catch((error: unknown) => {
    if (isMissing(error)) return [];
    throw error;
  });
  for (const name of names) {
    const [from, to] = [join(shipped, name), join(directory, logDirectory("data", "system"), name)];
    if ((await sizeOf(from)) > (await sizeOf(to))) await rename(from, to);
  }
  await rm(join(directory, dirname(SYSTEM_LOG_IN_STRETCH)), { recursive: true, force: true });
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (isMissing(error)) return 0;
    throw error;
  }
}
