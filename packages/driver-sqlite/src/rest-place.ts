import { setTimeout as delay } from "node:timers/promises";
import type { LogPosition } from "@stillpoint/contracts/log";
import type { OpenOptions } from "@stillpoint/driver/driver";
import type { MachineClock } from "./machine-clock.ts";
import { digestOf, LOOK_MOST_MS, partsOf, type StateInput } from "./ship-position.ts";
import { stateOf } from "./ship-source.ts";
import { isSameAddress } from "./wal-address.ts";
import type { WalDatabase } from "./wal-database.ts";
import { walEnd } from "./wal-index.ts";

/**
 * The place of the shipped log that a point rests on, found before the cut; undefined: none came in time.
 *
 * A shipper gives the newest version of each page, so of the moments between two of its looks there are none: a mark is no place
 * of its log. But of a look that lies behind the hold of a capture the capture itself has all that was committed since: the
 * log up to that look, and over it the pages of all frames from the hold to the mark, are the databases of the mark. Pages that the
 * look had already are written again, which changes nothing.
 *
 * A look serves if it was begun after the holds, or if nothing was committed between it and them; and if it saw these
 * databases and no others, which the digest of names and generations says. A generation changes at most once under a hold.
 */
export async function restPlace(
  logged: readonly WalDatabase[],
  {
    clock,
    heldMs,
    heldPlace,
    signal,
  }: { clock: MachineClock; heldMs: number; signal: AbortSignal } & Required<Pick<OpenOptions, "heldPlace">>,
): Promise<LogPosition | undefined> {
  if (logged.length === 0) return undefined;
  const stateBy = (address: (of: WalDatabase) => StateInput["address"] | Promise<StateInput["address"]>) =>
    Promise.all(logged.map(async (each) => await stateOf(each.found, await address(each))));
  const begun = await stateBy(({ copied }) => copied.from);
  const begunDigest = digestOf(begun);
  const begunFrames = begun.reduce((sum, { address }) => sum + address.frames, 0);
  const isSame = logged.every(({ copied }) => isSameAddress(copied.from, copied.to));
  // A look that is asked for now is behind that.
  await delay(Math.max(0, heldMs + LOOK_MOST_MS - clock.nowMs()), undefined, { signal });
  const known = new Set([begunDigest, digestOf(await stateBy(({ copied }) => copied.to))]);
  return await heldPlace(async (held) => {
    const parts = held.stream === clock.stream ? partsOf(held) : undefined;
    if (parts === undefined) return false;
    if (isSame && parts.digest === begunDigest && parts.frames === begunFrames) return true;
    if (parts.ms < heldMs + LOOK_MOST_MS) return false;
    if (!known.has(parts.digest))
      known.add(digestOf(await stateBy(async ({ found }) => (await walEnd(found.path)).address)));
    return known.has(parts.digest);
  });
}
