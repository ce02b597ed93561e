import type { Bus } from "@stillpoint/bus/bus";
import { StillpointError } from "@stillpoint/contracts/errors";
import { logGapped } from "@stillpoint/contracts/events";
import { gapId, shippedBackupId } from "@stillpoint/contracts/log";
import type { SourceKind } from "@stillpoint/contracts/names";
import { vaultLog, vaultTicket } from "@stillpoint/contracts/vault";
import { type VaultClient, vaultClient } from "../vault-client.ts";
import type { LogStore } from "./log-store.ts";

export type VaultLogPorts = {
  bus: Pick<Bus, "request" | "publishEvent">;
  shipped: { plan: string; source: string; kind: SourceKind; fenceToken: number };
  now: () => number;
  /** Nothing is written under the lease from then on. */
  lost: AbortSignal;
};

const ASKED_WITHIN_MS = 10_000;
/** A vault that starts anew is back sooner. */
const PATIENCE_MS = 30_000;
/** One try; a vault that takes bytes and never answers must not hold a log up for ever. */
const SHORT_WITHIN_MS = 60_000;
const CLOSED_WITHIN_MS = 900_000;

/** A source's log in the repository, by way of whichever vault answers. */
export function vaultLogStore({ bus, shipped, now, lost }: VaultLogPorts): LogStore {
  const { plan, source } = shipped;
  const asked = { timeoutMs: ASKED_WITHIN_MS };
  let address: { vaultUrl: string; ticket: string; renewAtMs: number } | undefined;

  const ask = async () => {
    const beganMs = now();
    const claims = { purpose: "ship" as const, ...shipped };
    const { vaultUrl, ticket, expiresAt } = await bus.request(vaultTicket, {}, claims, asked);
    // Long before it expires: the vault's clock and ours differ.
    return { vaultUrl, ticket, renewAtMs: beganMs + (Date.parse(expiresAt) - beganMs) / 2 };
  };
  /** One try within its time. One that fails may have met a vault that is gone for good: the next asks where there is one. */
  const within = async <Result>(ms: number, run: (client: VaultClient) => Promise<Result>) => {
    if (address === undefined || now() >= address.renewAtMs) address = await ask();
    const tooLong = AbortSignal.timeout(ms);
    try {
      return await run(vaultClient(address.vaultUrl, address.ticket, AbortSignal.any([lost, tooLong])));
    } catch (error) {
      address = undefined;
      if (!tooLong.aborted || lost.aborted) throw error;
      throw new StillpointError("TIMEOUT", { what: "The vault did not answer in time", where: source, cause: error });
    }
  };

  return {
    held: async (signal) => {
      const patient = { ...asked, patienceMs: PATIENCE_MS, signal: AbortSignal.any([lost, signal]) };
      return (await bus.request(vaultLog, {}, { plan, source }, patient)).held;
    },
    putClosed: (range, tar) =>
      within(CLOSED_WITHIN_MS, async (client) => {
        await client.putLog(shipped, range, tar);
      }),
    hasClosed: (range) =>
      within(
        SHORT_WITHIN_MS,
        async (client) => (await client.headBackup(shippedBackupId(shipped, range))) !== undefined,
      ),
    putTail: (range, bytes) => within(SHORT_WITHIN_MS, (client) => client.putTail(shipped, range, bytes)),
    recordGap: async (found) => {
      const gap = await within(SHORT_WITHIN_MS, (client) => client.putGap(shipped, found));
      // Told twice it is one event, as it is one record.
      await bus.publishEvent(logGapped, { plan, source }, { gap }, { key: gapId(gap) });
    },
  };
}
