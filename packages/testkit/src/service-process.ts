import { fileURLToPath } from "node:url";
import { freePort } from "@stillpoint/parts/free-port";
import { type RunningServer, startServer } from "@stillpoint/parts/server-process";
import { inOwnDirectory } from "./own-server.ts";
import { PROCESS_ENVIRONMENT } from "./process-environment.ts";

export type ServiceProcess = RunningServer & {
  /** The service's own directory; its log is `service.log` in it, one JSON object a line. */
  readonly dir: string;
  /** /live, /ready and /metrics. */
  readonly healthUrl: string;
};

/**
 * A service in a process of its own, ready when it says so: for kills and restarts. `settings` is its whole environment
 * apart from PATH and the health port.
 */
export async function startService(
  name: string,
  settings: Readonly<Record<string, string>>,
  options: {
    readonly readyWithinMs?: number /** Of a service that a test made for itself. */;
    readonly main?: URL;
  } = {},
): Promise<ServiceProcess> {
  const port = await freePort();
  const healthUrl = `http://127.0.0.1:${port}`;
  const main = fileURLToPath(options.main ?? new URL(`../../../services/${name}/src/main.ts`, import.meta.url));
  return inOwnDirectory(name, async (dir) => {
    const server = await startServer({
      name,
      command: process.execPath,
      args: ["--disable-warning=ExperimentalWarning", main],
      cwd: dir,
      env: { ...PROCESS_ENVIRONMENT, ...settings, STILLPOINT_HEALTH_PORT: String(port) },
      logFile: `${dir}/service.log`,
      user: undefined,
      deathSignal: "SIGKILL",
      stop: [{ signal: "SIGTERM", waitMs: 30_000 }],
      readyWithinMs: options.readyWithinMs ?? 60_000,
      isReady: () => isReady(healthUrl),
    });
    return Object.assign(server, { healthUrl });
  });
}

async function isReady(healthUrl: string): Promise<boolean> {
  return fetch(`${healthUrl}/ready`).then(
    async (response) => {
      await response.body?.cancel();
      return response.ok;
    },
    () => false, // not listening yet
  );
}
