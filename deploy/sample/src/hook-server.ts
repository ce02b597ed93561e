import { timingSafeEqual } from "node:crypto";
import { createReadStream } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { pipeline } from "node:stream/promises";
import { z } from "zod";
import type { Gate } from "./gate.ts";

export type HookServerOptions = {
  gate: Gate;
  status: () => unknown;
  journalPath: string;
  port: number;
  host: string;
  /** Asked for as `Authorization: Bearer …` where it is set. */
  token?: string;
};

const MAX_BODY_BYTES = 10_000;
/** The longest that an asker may keep the application quiet. */
const MAX_TTL_MS = 300_000;

const hookRequest = z.discriminatedUnion("verb", [
  z.object({
    verb: z.literal("quiesce"),
    fenceId: z.string().min(1).max(100),
    ttlMs: z.number().int().positive().max(MAX_TTL_MS),
  }),
  z.object({ verb: z.literal("release"), fenceId: z.string().min(1).max(100) }),
]);

class Refusal extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** The application's side of the fence. */
export async function serveHook(options: HookServerOptions): Promise<{ url: string; close(): Promise<void> }> {
  const server = createServer((request, response) => {
    answer(options, request, response).catch((error: unknown) => {
      const status = error instanceof Refusal ? error.status : 500;
      if (response.headersSent) response.destroy();
      else json(response, status, { error: error instanceof Error ? error.message : String(error) });
    });
  });
  await listen(server, options.port, options.host);
  const { port } = server.address() as AddressInfo; // it listens on TCP
  return {
    url: `http://127.0.0.1:${port}`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function answer(options: HookServerOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (!isPermitted(options.token, request)) throw new Refusal(401, "the bearer token is missing or wrong");
  const path = new URL(request.url ?? "/", "http://localhost").pathname;
  switch (`${request.method} ${path}`) {
    case "GET /status":
      return json(response, 200, options.status());
    case "GET /journal":
      response.writeHead(200, { "content-type": "application/x-ndjson" });
      return pipeline(createReadStream(options.journalPath), response);
    case "POST /quiesce":
      return hook(options.gate, await readBody(request), response);
    default:
      throw new Refusal(404, `there is no ${request.method} ${path}`);
  }
}

async function hook(gate: Gate, body: unknown, response: ServerResponse): Promise<void> {
  const parsed = hookRequest.safeParse(body);
  if (!parsed.success) throw new Refusal(400, z.prettifyError(parsed.error));
  if (parsed.data.verb === "release") return json(response, 200, gate.release(parsed.data.fenceId));
  const reply = await gate.quiesce(parsed.data.fenceId, parsed.data.ttlMs);
  switch (reply.status) {
    case "confirmed":
      return json(response, 200, { confirmed: true, sequence: reply.sequence });
    case "held-by-another":
      throw new Refusal(409, "another fence is held");
    case "ended":
      throw new Refusal(410, "this fence was released or has expired, and is never held again");
    case "expired":
      throw new Refusal(503, "the fence expired before the writes under way had ended");
  }
}

function isPermitted(token: string | undefined, request: IncomingMessage): boolean {
  if (token === undefined) return true;
  const given = Buffer.from(request.headers.authorization ?? "");
  const wanted = Buffer.from(`Bearer ${token}`);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request) {
    bytes += part.length;
    if (bytes > MAX_BODY_BYTES) throw new Refusal(413, `the body is longer than ${MAX_BODY_BYTES} bytes`);
    parts.push(part);
  }
  try {
    return JSON.parse(Buffer.concat(parts).toString("utf8"));
  } catch {
    throw new Refusal(400, "the body is not JSON");
  }
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
}
