import { setTimeout as wait } from "node:timers/promises";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { LogRange } from "@stillpoint/contracts/log";
import type { LogSink } from "@stillpoint/driver/ship";
import type { TreeWriter } from "@stillpoint/driver/tree";
import { sendTree } from "../send-tree.ts";
import { slots } from "../slots.ts";
import type { LogStore } from "./log-store.ts";

export type SinkPorts = {
  store: LogStore;
  /** Ends everything at once. */
  signal: AbortSignal;
  /** What is durable now. */
  flushed: (range: LogRange, bytes: number) => void;
  /** The vault does not take it for now; it is offered again after `againInMs`. */
  refused: (error: StillpointError, attempt: number, againInMs: number) => void;
  pauseMs: (attempt: number) => number;
};

/**
 * Gives a log to the vault, one stretch after the other: whoever brings more meanwhile waits, so that what is in memory is
 * what the driver has in hand. While the vault is away nothing is given up: the same stretch is offered until it is taken or
 * the signal fires. What no later try can cure goes to the driver, and so does the driver's own failure to read.
 */
export function logSink(ports: SinkPorts): LogSink {
  const { store, signal, flushed } = ports;
  const inTurn = slots(1);
  const offered = async (offer: () => Promise<void>): Promise<void> => {
    for (let attempt = 1; ; attempt += 1) {
      signal.throwIfAborted();
      try {
        return await offer();
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof OwnFailure) throw error.cause;
        if (!(error instanceof StillpointError) || error.retry !== "backoff") throw error;
        const againInMs = ports.pauseMs(attempt);
        ports.refused(error, attempt, againInMs);
        await wait(againInMs, undefined, { signal });
      }
    }
  };
  return {
    closed: (range, write) =>
      inTurn(async () => {
        let bytes = 0;
        await offered(async () => {
          bytes = await sendClosed(store, range, write);
        });
        flushed(range, bytes);
      }),
    tail: (range, bytes) =>
      inTurn(async () => {
        await offered(() => store.putTail(range, bytes));
        flushed(range, bytes.byteLength);
      }),
    gap: (gap) => inTurn(() => offered(() => store.recordGap(gap))),
  };
}

/** The driver could not read what it was about to give: not for us to try again. */
class OwnFailure extends Error {}

/** The bytes of its files. */
function sendClosed(store: LogStore, range: LogRange, write: (tree: TreeWriter) => Promise<void>): Promise<number> {
  const own = (error: unknown) => {
    throw new OwnFailure("the driver failed", { cause: error });
  };
  return sendTree(
    (tree) => write(tree).catch(own),
    async (tar) => {
      await store.putClosed(range, tar.stream);
      return tar.bytes;
    },
    // Or this stretch was taken before.
    async (tar) => ((await store.hasClosed(range)) ? tar.bytes : undefined),
  );
}
