import { BUCKETS } from "@stillpoint/contracts/topology";
import { openBucket } from "./bucket.ts";
import type { Connection } from "./connection.ts";

/** How often a command was begun. The server's own count also grows by delays and by waiting for leases. */
export type AttemptCounter = {
  begin: (durable: string, sequence: number) => Promise<number>;
  takeBack: (durable: string, sequence: number, attempt: number) => Promise<void>;
  forget: (durable: string, sequence: number) => Promise<void>;
};

export async function openAttempts(connection: Connection): Promise<AttemptCounter> {
  const bucket = await openBucket(connection, BUCKETS.attempts);
  const keyOf = (durable: string, sequence: number) => `${durable}.${sequence}`;
  return {
    begin: async (durable, sequence) => {
      const key = keyOf(durable, sequence);
      const before = (await bucket.get(key))?.value.attempts ?? 0;
      // Two at once can only happen after a crash of the server; they then count as one, which harms nobody.
      await bucket.put(key, { attempts: before + 1 });
      return before + 1;
    },
    takeBack: async (durable, sequence, attempt) => {
      await bucket.put(keyOf(durable, sequence), { attempts: attempt - 1 });
    },
    forget: async (durable, sequence) => {
      await bucket.delete(keyOf(durable, sequence));
    },
  };
}
