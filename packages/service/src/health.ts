import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { Registry } from "prom-client";

export type Readiness = { isReady: boolean; waitingFor: string[] };

export type HealthOptions = {
  host: string;
  port: number;
  services: readonly string[];
  registry: Registry;
  readiness: () => Readiness;
};

/** `/live`: the process turns. `/ready`: it can do its work. `/metrics`: Prometheus. One for all services of a process. */
export async function serveHealth(options: HealthOptions): Promise<AsyncDisposable & { port: number }> {
  const { registry, services } = options;
  const server = createServer((request, response) => {
    const path = request.url?.split("?")[0];
    if (path === "/live") sendJson(response, 200, { status: "live", services });
    else if (path === "/ready") {
      const { isReady, waitingFor } = options.readiness();
      sendJson(response, isReady ? 200 : 503, { status: isReady ? "ready" : "waiting", services, waitingFor });
    } else if (path === "/metrics") {
      registry.metrics().then(
        (text) => response.writeHead(200, { "content-type": registry.contentType }).end(text),
        (error: unknown) => sendJson(response, 500, { error: String(error) }),
      );
    } else sendJson(response, 404, { error: "there are /live, /ready and /metrics" });
  });
  server.listen(options.port, options.host);
  try {
    await once(server, "listening");
  } catch (error) {
    throw new StillpointError("CONFIG_INVALID", {
      what: "Cannot open the health port",
      where: `${options.host}:${options.port}`,
      why: error instanceof Error ? error.message : String(error),
      hint: "set STILLPOINT_HEALTH_PORT to a free port, or to 0 for none",
      cause: error,
    });
  }
  const { port } = server.address() as AddressInfo; // it listens on TCP
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(`${JSON.stringify(body)}\n`);
}
