import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "./free-port.ts";
import type { QdrantPart } from "./qdrant-part.ts";
import { type RunningServer, startServer } from "./server-process.ts";

export type QdrantServer = RunningServer & {
  readonly url: string;
  readonly apiKey: string;
  /** True for the test double, which proves nothing about a real Qdrant and never holds a user's data. */
  readonly isDouble: boolean;
  readonly storageDirectory: string;
};

export type QdrantOptions = {
  readonly part: QdrantPart;
  readonly dir: string;
  readonly port?: number;
  /** More arguments, for the double's switches. */
  readonly args?: readonly string[];
  readonly apiKey?: string;
};

/** A Qdrant server, or the test double in its place, on loopback with an API key. */
export async function startQdrant(options: QdrantOptions): Promise<QdrantServer> {
  const { part, dir } = options;
  const port = options.port ?? (await freePort());
  const storageDirectory = join(dir, "storage");
  await mkdir(storageDirectory, { recursive: true });
  const apiKey = options.apiKey ?? randomBytes(16).toString("hex");
  const url = `http://127.0.0.1:${port}`;
  const [command, ...before] = part.command;
  const place = part.isDouble ? ["--port", String(port), "--storage", storageDirectory] : [];
  const server = await startServer({
    name: part.isDouble ? "the Qdrant test double" : "Qdrant",
    command,
    args: [...before, ...place, ...(options.args ?? [])],
    cwd: dir,
    env: { PATH: process.env.PATH, ...part.env, ...qdrantSettings(dir, port, await freePort(), apiKey) },
    logFile: join(dir, "qdrant.log"),
    user: undefined,
    deathSignal: "SIGKILL",
    stop: [{ signal: "SIGTERM", waitMs: 20_000 }],
    readyWithinMs: 60_000,
    isReady: () => isReady(url),
  });
  return Object.assign(server, { url, apiKey, isDouble: part.isDouble, storageDirectory });
}

/** Everything by environment: the key must not be on a command line, and the double reads the same names. */
function qdrantSettings(dir: string, port: number, grpcPort: number, apiKey: string): Record<string, string> {
  return {
    QDRANT__SERVICE__HOST: "127.0.0.1",
    QDRANT__SERVICE__HTTP_PORT: String(port),
    QDRANT__SERVICE__GRPC_PORT: String(grpcPort),
    QDRANT__SERVICE__API_KEY: apiKey,
    QDRANT__STORAGE__STORAGE_PATH: join(dir, "storage"),
    QDRANT__STORAGE__SNAPSHOTS_PATH: join(dir, "snapshots"),
    QDRANT__TELEMETRY_DISABLED: "true",
  };
}

async function isReady(url: string): Promise<boolean> {
  return fetch(`${url}/readyz`).then(
    async (response) => {
      await response.body?.cancel();
      return response.ok;
    },
    () => false,
  );
}
