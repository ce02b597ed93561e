import { join } from "node:path";
import type { FakeGcsPart } from "./fake-gcs-part.ts";
import { freePort } from "./free-port.ts";
import { type RunningServer, startServer } from "./server-process.ts";

export type FakeGcsServer = RunningServer & { readonly endpoint: string };
export type FakeGcsOptions = { readonly part: FakeGcsPart; readonly dir: string; readonly port?: number };

/** Google Cloud Storage's JSON API over memory; it asks for no credentials. */
export async function startFakeGcs({ part, dir, port: given }: FakeGcsOptions): Promise<FakeGcsServer> {
  const port = given ?? (await freePort());
  const endpoint = `http://127.0.0.1:${port}`;
  const address = ["-scheme", "http", "-host", "127.0.0.1", "-port", String(port)];
  const server = await startServer({
    name: "fake-gcs-server",
    command: part.command,
    args: [
      ...address,
      "-backend",
      "memory",
      "-external-url",
      endpoint,
      "-public-host",
      `127.0.0.1:${port}`,
      "-log-level",
      "error",
    ],
    cwd: dir,
    env: {},
    logFile: join(dir, "fake-gcs-server.log"),
    user: undefined,
    deathSignal: "SIGKILL",
    stop: [{ signal: "SIGTERM", waitMs: 10_000 }],
    readyWithinMs: 60_000,
    isReady: () =>
      fetch(`${endpoint}/_internal/healthcheck`).then(
        ({ ok }) => ok,
        () => false,
      ),
  });
  return Object.assign(server, { endpoint } as const);
}
