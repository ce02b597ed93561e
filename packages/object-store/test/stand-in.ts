import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Secret } from "@stillpoint/contracts/secret";
import type { ObjectStore } from "../src/object-store.ts";
import { s3Store } from "../src/s3.ts";

export type Asked = { method: string; path: string; headers: IncomingMessage["headers"]; body: string };

/** A server that answers as a test says, for what no server here does; it keeps what it was asked. */
export async function standIn(answer: (asked: Asked, response: ServerResponse) => void) {
  const asked: Asked[] = [];
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString("latin1");
    const one = { method: request.method ?? "", path: request.url ?? "", headers: request.headers, body };
    asked.push(one);
    answer(one, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // a TCP server's address is an object
  return {
    endpoint: `http://127.0.0.1:${port}`,
    asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** S3 at a server that believes every key. */
export function s3At(endpoint: string): ObjectStore {
  const key = new Secret("key");
  const access = { region: "us-east-1", endpoint, accessKeyId: key, secretAccessKey: key };
  return s3Store({ bucket: "bucket", prefix: "", ...access });
}
