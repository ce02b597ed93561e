import { once } from "node:events";
import { createServer } from "node:net";

/**
 * A port of 127.0.0.1 that nobody listens on, for a server that must be told one. In an isolated sandbox all are free;
 * elsewhere somebody may take it first, and the server then says so.
 */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new TypeError("unreachable: it listened on TCP");
  return address.port;
}
