import { connect, createServer, type Server, type Socket } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { errorBody, StillpointError, toStillpointError } from "@stillpoint/contracts/errors";
import {
  maxRow,
  type Query,
  type QueryRow,
  query,
  statementRow,
  storeCheckRow,
  valueRow,
} from "@stillpoint/contracts/query";
import { z } from "zod";

/** How a process of ours in a sandbox answers queries: one query per connection, rows as NDJSON, then its end. */
const line = z.union([
  z.object({ end: z.literal(true) }),
  z.object({ error: errorBody }),
  z.object({ row: z.union([storeCheckRow, valueRow, maxRow, statementRow]) }),
]);

/** Answers queries at a Unix socket; `answer` may throw, which the asker gets. */
export async function serveQueries(path: string, answer: (asked: Query) => AsyncIterable<QueryRow>): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    // An asker that went away needs no answer.
    pipeline(Readable.from(lines(socket, answer)), socket).catch(() => socket.destroy());
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(path, resolve);
  await promise;
  return server;
}

async function* lines(socket: Socket, answer: (asked: Query) => AsyncIterable<QueryRow>): AsyncGenerator<string> {
  try {
    // The answer goes out by the same socket, after its other half has ended.
    const [first = ""] = await Array.fromAsync(splitLines(socket.iterator({ destroyOnReturn: false })));
    for await (const row of answer(query.parse(JSON.parse(first)))) yield `${JSON.stringify({ row })}\n`;
    yield `${JSON.stringify({ end: true })}\n`;
  } catch (error) {
    yield `${JSON.stringify({ error: toStillpointError(error, "Cannot answer a query").toBody() })}\n`;
  }
}

/** Asks at such a socket. Throws what the other side threw, or SANDBOX_FAILED if it went away in the middle. */
export async function* askOverSocket(path: string, asked: Query): AsyncGenerator<QueryRow> {
  const socket = connect({ path, allowHalfOpen: true });
  try {
    socket.end(`${JSON.stringify(asked)}\n`);
    for await (const text of splitLines(socket)) {
      const parsed = line.parse(JSON.parse(text));
      if ("end" in parsed) return;
      if ("error" in parsed) throw StillpointError.fromBody(parsed.error);
      yield parsed.row;
    }
  } finally {
    socket.destroy();
  }
  throw new StillpointError("SANDBOX_FAILED", {
    what: "Cannot answer a query",
    why: "the process in the sandbox ended",
  });
}

/** Not `readline`, whose iterator does not hear of the stream's errors. */
async function* splitLines(source: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of source) {
    const parts = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
  if (rest !== "") yield rest;
}
