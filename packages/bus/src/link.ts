import type { NatsConnection } from "@nats-io/transport-node";
import { BrokenError } from "./failure.ts";
import type { Log } from "./log.ts";

/** Whether the server is there now, and when that changes. */
export type Link = {
  isUp: () => boolean;
  /** The same promise, save that it fails at once when the connection breaks: an answer then never comes. */
  unlessBroken: <Result>(answer: Promise<Result>) => Promise<Result>;
  /** Resolves when the server is there, true, or after the time, false. */
  up: (withinMs: number) => Promise<boolean>;
};

export function watchLink(nc: NatsConnection, log: Log): Link {
  let isConnected = true;
  const waiting = new Set<() => void>();
  let nextUp = Promise.withResolvers<void>();
  const down = () => {
    isConnected = false;
    for (const fail of waiting) fail();
  };
  const run = async () => {
    for await (const status of nc.status()) {
      if (status.type === "disconnect") {
        log.warn({ server: status.server }, "NATS: disconnected");
        down();
      } else if (status.type === "reconnect") {
        log.info({ server: status.server }, "NATS: connected again");
        isConnected = true;
        nextUp.resolve();
        nextUp = Promise.withResolvers();
      } else if (status.type === "error") {
        log.warn({ why: status.error.message }, "NATS: the server refused something");
      }
    }
    down();
  };
  void run();
  const isUp = () => isConnected && !nc.isClosed();
  return {
    isUp,
    unlessBroken: (answer) =>
      new Promise((resolve, reject) => {
        const fail = () => reject(new BrokenError());
        waiting.add(fail);
        answer.then(resolve, reject).finally(() => waiting.delete(fail));
      }),
    up: async (withinMs) => {
      if (isUp()) return true;
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, withinMs);
      });
      await Promise.race([nextUp.promise, late, nc.closed()]);
      clearTimeout(timer);
      return isUp();
    },
  };
}
