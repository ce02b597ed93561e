import { access, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "./free-port.ts";
import type { NatsPart } from "./nats-part.ts";
import { type RunningServer, startServer } from "./server-process.ts";

export type NatsServer = RunningServer & { readonly url: string; readonly port: number };

export type NatsOptions = {
  readonly part: NatsPart;
  /** The server's own directory: configuration, log and JetStream's files. */
  readonly dir: string;
  readonly port?: number;
  /** More configuration, in the server's own language: accounts, limits. It lies in a file that only we may read. */
  readonly settings?: string;
};

/** A NATS server with JetStream on loopback. Its streams lie in `dir`: a start on the same `dir` has them again. */
export async function startNats(options: NatsOptions): Promise<NatsServer> {
  const { part, dir } = options;
  const port = options.port ?? (await freePort());
  const ports = join(dir, "ports");
  await rm(ports, { recursive: true, force: true });
  await mkdir(ports, { recursive: true });
  const configFile = join(dir, "nats.conf");
  await writeFile(configFile, configuration(port, dir, options.settings ?? ""), { mode: 0o600 });
  const server = await startServer({
    name: "NATS",
    command: part.command,
    args: ["--config", configFile],
    cwd: dir,
    env: {},
    logFile: join(dir, "nats.log"),
    user: undefined,
    deathSignal: "SIGKILL",
    stop: [{ signal: "SIGTERM", waitMs: 10_000 }],
    readyWithinMs: 60_000,
    // Written when the server listens, under its own pid: a greeting on the port could be somebody else's.
    isReady: (pid) => exists(join(ports, `nats-server_${pid}.ports`)),
  });
  return Object.assign(server, { port, url: `nats://127.0.0.1:${port}` });
}

function configuration(port: number, dir: string, settings: string): string {
  return [
    `listen: "127.0.0.1:${port}"`,
    `ports_file_dir: ${JSON.stringify(join(dir, "ports"))}`,
    `jetstream { store_dir: ${JSON.stringify(join(dir, "jetstream"))} }`,
    settings,
    "",
  ].join("\n");
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
