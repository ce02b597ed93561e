import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "./free-port.ts";
import { type RunningServer, startServer } from "./server-process.ts";
import type { VersitygwPart } from "./versitygw-part.ts";

export type VersitygwServer = RunningServer & {
  readonly endpoint: string;
  readonly region: "us-east-1";
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Each directory in it is a bucket, each file in that an object: for faults that no S3 request can cause. */
  readonly bucketsDirectory: string;
};

export type VersitygwOptions = {
  readonly part: VersitygwPart;
  readonly dir: string;
  readonly port?: number;
  /** Where it publishes what happens to objects: NATS, with credentials in the URL. */
  readonly notify?: { readonly natsUrl: string; readonly subject: string };
};

/** An S3 server over a directory. Path-style addresses; metadata lies beside the objects' tree, so any file system does. */
export async function startVersitygw(options: VersitygwOptions): Promise<VersitygwServer> {
  const { part, dir } = options;
  const port = options.port ?? (await freePort());
  const bucketsDirectory = join(dir, "buckets");
  await mkdir(bucketsDirectory, { recursive: true });
  const [metadata, versions] = [join(dir, "metadata"), join(dir, "versions")];
  for (const directory of [metadata, versions]) await mkdir(directory, { recursive: true });
  const accessKeyId = "stillpoint";
  const secretAccessKey = randomBytes(16).toString("hex");
  const endpoint = `http://127.0.0.1:${port}`;
  const server = await startServer({
    name: "versitygw",
    command: part.command,
    args: [
      "--port",
      `127.0.0.1:${port}`,
      "--quiet",
      // As S3 has it; without this the server ends each connection after one answer.
      "--keep-alive",
      ...(options.notify === undefined ? [] : ["--event-nats-topic", options.notify.subject]),
      "posix",
      "--sidecar",
      metadata,
      "--versioning-dir",
      versions,
      bucketsDirectory,
    ],
    cwd: dir,
    env: {
      ROOT_ACCESS_KEY: accessKeyId,
      ROOT_SECRET_KEY: secretAccessKey,
      ...(options.notify === undefined ? {} : { VGW_EVENT_NATS_URL: options.notify.natsUrl }),
    },
    logFile: join(dir, "versitygw.log"),
    user: undefined,
    deathSignal: "SIGKILL",
    stop: [{ signal: "SIGTERM", waitMs: 10_000 }],
    readyWithinMs: 60_000,
    isReady: () => answers(endpoint),
  });
  return Object.assign(server, {
    endpoint,
    region: "us-east-1",
    accessKeyId,
    secretAccessKey,
    bucketsDirectory,
  } as const);
}

/** Any answer will do: without a signature it is a refusal. */
async function answers(endpoint: string): Promise<boolean> {
  return fetch(endpoint).then(
    async (response) => {
      await response.body?.cancel();
      return true;
    },
    () => false,
  );
}
