import { type Connection, type ConnectOptions, connect } from "./connection.ts";
import { replicationCommand } from "./copy-stream.ts";

export type Slot = AsyncDisposable & { name: string; connection: Connection };

/**
 * A slot that keeps the WAL from now on. It is temporary: the server drops it with the connection that made it, whatever
 * becomes of this process, so nothing of ours can fill the source's disk. Only this connection can read from it.
 */
export async function openSlot(options: Omit<ConnectOptions, "what" | "replication">): Promise<Slot> {
  const connection = await connect({
    ...options,
    what: "Cannot read PostgreSQL's WAL",
    replication: true,
    // Whatever the source has set: we send a sign of life every few seconds, also while an upload stands still.
    settings: { wal_sender_timeout: "60s" },
  });
  try {
    // The server's process is ours as long as the slot lives, so its number makes the name unique.
    const { processID } = connection.client as { processID?: number }; // a field that pg's types leave out
    const name = `stillpoint_${processID}`;
    await replicationCommand(connection, `CREATE_REPLICATION_SLOT ${name} TEMPORARY PHYSICAL RESERVE_WAL`);
    return { name, connection, [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose]() };
  } catch (error) {
    await connection[Symbol.asyncDispose]();
    throw error;
  }
}
