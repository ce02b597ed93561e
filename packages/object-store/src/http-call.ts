import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Agents } from "./network.ts";
import { readBody } from "./read-body.ts";

export type HttpCall = {
  method: string;
  url: URL;
  headers?: Record<string, string>;
  /** Written one after the other, never joined. */
  body?: readonly Uint8Array[];
  signal?: AbortSignal | undefined;
};
export type HttpAnswer = { status: number; headers: IncomingHttpHeaders; body: Uint8Array };

/** One HTTP request whose answer is read whole. Only a connection that fails throws: every status is an answer. */
export async function httpCall(agents: Agents, call: HttpCall): Promise<HttpAnswer> {
  const { method, url, headers = {}, body = [], signal } = call;
  const isTls = url.protocol === "https:";
  const length = body.reduce((sum, part) => sum + part.length, 0);
  const request = (isTls ? httpsRequest : httpRequest)(url, {
    method,
    agent: isTls ? agents.https : agents.http,
    headers: { ...headers, ...(body.length === 0 ? {} : { "content-length": String(length) }) },
    ...(signal === undefined ? {} : { signal }),
  });
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    // Stays on: a server may answer and close before it took the whole body, and the answer is what counts.
    request.on("response", resolve).on("error", reject);
    for (const part of body) request.write(part);
    request.end();
  });
  const told = response.headers["content-length"];
  const bytes = await readBody(response, told === undefined || method === "HEAD" ? undefined : Number(told));
  return { status: response.statusCode ?? 0, headers: response.headers, body: bytes };
}
