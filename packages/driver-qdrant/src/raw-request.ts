import { once } from "node:events";
import { type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { failure, refusal } from "./ask.ts";
import type { QdrantServer } from "./server.ts";

export type RawRequest = {
  what: string;
  where: string;
  method: "GET" | "POST" | "PUT";
  /** Below the server's prefix, with its query. */
  path: string;
  headers?: Record<string, string>;
  signal: AbortSignal;
};

/** Texts of errors are short; a server that sends more is cut off. */
const SAID_LIMIT = 64 * 1024;

/**
 * A request whose body or answer is a stream: the client has none. It has a connection of its own, which ends with it, and
 * takes no bytes from the socket that nobody reads. No time limit: a reader may rest, and a server may unpack for long.
 */
export async function openRequest(
  server: QdrantServer,
  { what, where, method, path, headers, signal }: RawRequest,
  send: (request: ClientRequest) => Promise<void>,
): Promise<IncomingMessage> {
  const { https, host, port, prefix } = server.at;
  const request = (https ? httpsRequest : httpRequest)({
    method,
    host: host.replace(/^\[|\]$/g, ""),
    port,
    path: `${prefix}${path}`,
    // A server compresses what it may, and a compressed tar shows no entries.
    headers: { "accept-encoding": "identity", ...server.headers(), ...headers },
    agent: false,
    signal,
  });
  try {
    const answered = once(request, "response", { signal });
    // A server may refuse before it has read everything; its answer says more than the broken connection does.
    const sent = send(request).then(() => answered);
    const [response] = await (Promise.race([answered, sent]) as Promise<[IncomingMessage]>); // what the event brings
    if (response.statusCode === 200) return response;
    throw refusal(response.statusCode ?? 0, await said(response), { what, where });
  } catch (error) {
    request.destroy();
    signal.throwIfAborted();
    throw failure(error, what, where);
  }
}

/** A body of JSON, in one piece. */
export function sendText(body: string): (request: ClientRequest) => Promise<void> {
  return async (request) => {
    request.setHeader("content-type", "application/json");
    request.end(body);
  };
}

/** Ends a request without a body. */
export async function sendNothing(request: ClientRequest): Promise<void> {
  request.end();
}

async function said(response: IncomingMessage): Promise<string> {
  let text = "";
  for await (const piece of response) {
    text += String(piece);
    if (text.length > SAID_LIMIT) break;
  }
  return /"error":\s*"((?:[^"\\]|\\.)*)"/.exec(text)?.[1] ?? text.slice(0, 300);
}
