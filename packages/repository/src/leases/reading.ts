import { StillpointError } from "@stillpoint/contracts/errors";
import type { RepositoryContext } from "../repository-context.ts";
import { type RenewedLease, renewedLease } from "./renewed-lease.ts";

/** A failure of the store is none of the reader's: it reads on, and plans again where something is gone. */
function ifTold(error: unknown): undefined {
  if (error instanceof StillpointError || (error instanceof Error && error.name === "AbortError")) return undefined;
  throw error;
}

/**
 * A reader's lease on backups: while it lives they are roots, and no generation newer than the one in it is swept. Nobody waits
 * for it: where it cannot be written (no right to, no room, no primary), the reader does without. Renewed by a timer, each time
 * after the index was read again, so that the reader knows where chunks lie now.
 */
export function beginReading(context: RepositoryContext, backups: readonly string[]): AsyncDisposable {
  const controller = new AbortController();
  const { signal } = controller;
  let timer: NodeJS.Timeout | undefined;

  async function renew(lease: RenewedLease): Promise<void> {
    const { newest } = await context.condemned.load(signal);
    await context.loader.load(signal);
    await lease.renew(newest);
  }

  async function begin(): Promise<RenewedLease | undefined> {
    const { newest } = await context.condemned.load(signal);
    const lease = await renewedLease(context, { role: "reader", generation: newest, backups: [...backups] }, signal);
    timer = setInterval(() => void renew(lease).catch(ifTold), lease.renewMs).unref();
    return lease;
  }

  const begun = begin().catch(ifTold);
  begun.catch(() => undefined); // told at the disposal
  return {
    async [Symbol.asyncDispose]() {
      controller.abort();
      const lease = await begun;
      clearInterval(timer);
      await lease?.end();
    },
  };
}
