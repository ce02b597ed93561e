import { setTimeout as delay } from "node:timers/promises";
import type { Connection } from "./connection.ts";
import { BrokenError, isTransient, toBusError } from "./failure.ts";

/** Long enough for a server to restart or a cluster to choose a leader. */
const PATIENCE_MS = 30_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;

export type Attempt = { number: number };

/**
 * Repeats what is safe to repeat while the server is away. `attempt.number` tells the operation whether an earlier try
 * may have succeeded without our hearing of it.
 */
export async function persist<Result>(
  connection: Connection,
  what: string,
  where: string,
  operation: (attempt: Attempt) => Promise<Result>,
  patienceMs: number = PATIENCE_MS,
): Promise<Result> {
  const { clock, link, log, nc } = connection;
  const started = clock.monotonicMs();
  const left = () => patienceMs - (clock.monotonicMs() - started);
  for (let number = 1; ; number += 1) {
    try {
      if (!(await link.up(left()))) throw new BrokenError();
      return await link.unlessBroken(operation({ number }));
    } catch (error) {
      if (!isTransient(error) || left() <= 0 || nc.isClosed()) throw toBusError(error, what, where);
      log.debug({ where, attempt: number }, `${what}: trying again`);
      await delay(Math.min(FIRST_PAUSE_MS * 2 ** (number - 1), LONGEST_PAUSE_MS));
    }
  }
}
