import { once } from "node:events";
import { createServer, type IncomingMessage, request } from "node:http";
import type { AddressInfo } from "node:net";

const WRITES = new Set(["PUT", "DELETE", "POST"]);

/**
 * Stands before an S3 server. After the next so many writes that the server carried out, `then` is called, and that write's
 * answer is not passed on: whoever asked dies without knowing.
 */
export async function watchWrites(endpoint: string) {
  const upstream = new URL(endpoint);
  let left = Number.POSITIVE_INFINITY;
  let then: () => Promise<void> = async () => undefined;
  const server = createServer((asked, response) => {
    const { method, url: path, headers } = asked;
    const passed = request({ host: upstream.hostname, port: upstream.port, method, path, headers });
    passed.on("response", async (answer: IncomingMessage) => {
      const { statusCode = 502 } = answer;
      if (WRITES.has(method ?? "") && statusCode < 300 && --left === 0) {
        answer.resume();
        return await then();
      }
      response.writeHead(statusCode, answer.headers);
      answer.pipe(response);
    });
    passed.on("error", () => response.destroy());
    response.on("close", () => passed.destroy());
    asked.pipe(passed);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // it listens on TCP
  return {
    endpoint: `http://127.0.0.1:${port}`,
    after(writes: number, work: () => Promise<void>) {
      left = writes;
      then = work;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
