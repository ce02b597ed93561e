import { mkdir } from "node:fs/promises";
import { dirname, isAbsolute, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Secret } from "@stillpoint/contracts/secret";
import { freePort } from "@stillpoint/driver/free-port";
import type { QdrantServer } from "./server.ts";

const READY_MS = 60_000;
const POLL_MS = 25;

/** Everything by environment, which a server and its double read alike; nothing of the source's settings. */
export async function serverEnvironment(directory: string, port: number, key: Secret): Promise<Record<string, string>> {
  const storage = join(directory, "storage");
  await mkdir(storage, { recursive: true });
  return {
    QDRANT__SERVICE__HOST: "127.0.0.1",
    QDRANT__SERVICE__HTTP_PORT: String(port),
    QDRANT__SERVICE__GRPC_PORT: String(await freePort()),
    QDRANT__SERVICE__API_KEY: key.reveal(),
    QDRANT__SERVICE__ENABLE_STATIC_CONTENT: "false",
    QDRANT__CLUSTER__ENABLED: "false",
    QDRANT__STORAGE__STORAGE_PATH: storage,
    QDRANT__STORAGE__SNAPSHOTS_PATH: join(directory, "snapshots"),
    QDRANT__STORAGE__TEMP_PATH: join(directory, "temporary"),
    QDRANT__TELEMETRY_DISABLED: "true",
    QDRANT_INIT_FILE_PATH: join(directory, "initialized"),
  };
}

/** What of the command lies somewhere of its own, such as an interpreter's packages: it must stay visible inside. */
export function ownDirectories(command: readonly string[]): string[] {
  return command.flatMap((word) => {
    const value = /^\w+=(\/.*)$/.exec(word)?.[1];
    if (value !== undefined) return value.split(":");
    return isAbsolute(word) ? [dirname(word)] : [];
  });
}

/** Rejects when the server ends before it answers. */
export async function untilReady(server: QdrantServer, hasExited: () => boolean, signal: AbortSignal): Promise<void> {
  const limit = AbortSignal.timeout(READY_MS);
  while (!(await isReady(server, signal))) {
    if (hasExited()) throw new Error("the server ended while it started");
    if (limit.aborted) throw new Error(`the server is not ready after ${READY_MS / 1000} s`);
    await delay(POLL_MS, undefined, { signal });
  }
}

async function isReady({ url }: QdrantServer, signal: AbortSignal): Promise<boolean> {
  try {
    const response = await fetch(`${url}/readyz`, { signal });
    await response.body?.cancel();
    return response.ok;
  } catch {
    signal.throwIfAborted();
    return false; // not listening yet: the answer, not a failure
  }
}
