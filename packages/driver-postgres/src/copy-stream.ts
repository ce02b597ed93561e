import type { Connection as PgConnection, Submittable } from "pg";
import type { Connection } from "./connection.ts";

/** Bytes that wait for their reader before the socket is paused. */
const HIGH_WATER_BYTES = 1_048_576;

/** A replication command under way. pg itself knows neither copy streams with results around them nor copy-both. */
export type CopyStream = {
  /** Copy data in order. Not reading it slows the server down; leaving it early does not end the command. */
  messages: () => AsyncGenerator<Buffer, void, void>;
  /** The rows that the command answered beside its copy data, as text, in order. */
  rows: readonly (readonly (string | null)[])[];
  /** Data towards the server, where the command takes any. */
  send: (data: Buffer) => void;
  /** No more data comes from us; the server ends its side in answer. */
  sendDone: () => void;
  /** Reads and drops what still comes, until the server is ready for the next command. */
  drain: () => Promise<void>;
};

/** The part of pg's connection that its types leave out. */
type CopyConnection = PgConnection & { sendCopyFromChunk(chunk: Buffer): void; endCopyFrom(): void };

/** Between two copies of one command, where they are asked to be told apart: no message of a server's is empty. */
export const COPY_END = Buffer.alloc(0);

/**
 * `both`: the command copies both ways, and where the server ends its side on its own, ours ends with it. `several`: it
 * copies several times, and COPY_END comes after each.
 */
export function copyStream(
  { client, translate }: Connection,
  command: string,
  { both = false, several = false }: { both?: boolean; several?: boolean } = {},
): CopyStream {
  const queue: Buffer[] = [];
  const rows: (string | null)[][] = [];
  let queuedBytes = 0;
  let dropping = false;
  let failure: unknown;
  let state: "running" | "failed" | "ended" = "running";
  let wake = () => {};
  let saidDone = false;
  // pg's declaration lacks two methods that its class has (lib/connection.js).
  const connection = client.connection as CopyConnection;

  const finish = (as: "failed" | "ended") => {
    if (state === "running") state = as;
    connection.off("copyDone", sendDone);
    connection.off("copyDone", endOne);
    wake();
  };
  const sendDone = () => {
    if (!saidDone) connection.endCopyFrom();
    saidDone = true;
  };
  const endOne = () => {
    if (!dropping) queue.push(COPY_END);
    wake();
  };
  if (both) connection.on("copyDone", sendDone);
  if (several) connection.on("copyDone", endOne);
  const query: Submittable & Record<string, unknown> = {
    submit: () => connection.query(command),
    handleRowDescription: () => {},
    handleDataRow: (message: { fields: (string | null)[] }) => rows.push(message.fields),
    handleCommandComplete: () => {},
    handleCopyInResponse: () => {},
    handleEmptyQuery: () => {},
    handlePortalSuspended: () => {},
    handleCopyData: (message: { chunk: Buffer }) => {
      if (dropping) return;
      // The parser reuses its buffer for what arrives next.
      queue.push(Buffer.from(message.chunk));
      queuedBytes += message.chunk.length;
      if (queuedBytes > HIGH_WATER_BYTES) connection.stream.pause();
      wake();
    },
    handleReadyForQuery: () => finish("ended"),
    handleError: (error: unknown) => {
      failure = error;
      finish("failed");
    },
  };
  client.query(query);

  const changed = () =>
    new Promise<void>((resolve) => {
      wake = resolve;
    });
  async function* messages() {
    for (;;) {
      const next = queue.shift();
      if (next !== undefined) {
        queuedBytes -= next.length;
        if (queuedBytes <= HIGH_WATER_BYTES / 2) connection.stream.resume();
        yield next;
      } else if (state === "failed") {
        throw translate(failure);
      } else if (state === "ended") {
        return;
      } else {
        await changed();
      }
    }
  }
  return {
    messages,
    rows,
    send: (data) => connection.sendCopyFromChunk(data),
    sendDone,
    async drain() {
      dropping = true;
      queue.length = 0;
      queuedBytes = 0;
      connection.stream.resume();
      for await (const _ of messages());
    },
  };
}

/** A replication command without copy data; its rows as text. */
export async function replicationCommand(connection: Connection, command: string): Promise<CopyStream["rows"]> {
  const stream = copyStream(connection, command);
  await stream.drain();
  return stream.rows;
}
