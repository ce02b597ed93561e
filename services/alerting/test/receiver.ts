import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { z } from "zod";

const message = z.object({ text: z.string(), attachments: z.array(z.object({ color: z.string(), text: z.string() })) });
export type Message = z.infer<typeof message>;

export type Receiver = AsyncDisposable & {
  url: string;
  port: number;
  /** What arrived and was answered with 200, in order. */
  texts: () => string[];
  messages: Message[];
  /** Tries that were turned away. */
  refused: () => number;
  /** What the next tries are answered with, one each; afterwards 200. */
  answerNext: (...statuses: number[]) => void;
};

/** What an incoming webhook is to us: an HTTP server on loopback that writes down what it is sent. */
export async function webhookReceiver(port = 0): Promise<Receiver> {
  const messages: Message[] = [];
  const statuses: number[] = [];
  let refused = 0;
  const server = createServer(async (request, response) => {
    const body = message.parse(await json(request));
    const status = statuses.shift() ?? 200;
    if (status === 200) messages.push(body);
    else refused += 1;
    response.writeHead(status).end();
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const address = server.address() as AddressInfo; // it listens on TCP
  return {
    url: `http://127.0.0.1:${address.port}/hooks/T0/very-secret`,
    port: address.port,
    messages,
    texts: () => messages.map(({ text }) => text),
    refused: () => refused,
    answerNext: (...next) => void statuses.push(...next),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
