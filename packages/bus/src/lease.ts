import { StillpointError } from "@stillpoint/contracts/errors";
import { toInstant } from "@stillpoint/contracts/names";
import type { BUCKETS } from "@stillpoint/contracts/topology";
import type { Bucket } from "./bucket.ts";
import type { Connection } from "./connection.ts";

export type LeaseOptions = {
  /** What the bucket forgets a key after. */
  ttlMs: number;
  renewEveryMs?: number | undefined;
  /** Said in the lease: the requests that its owner answers. */
  hears?: string[] | undefined;
};

export type Lease = AsyncDisposable & {
  key: string;
  /** The revision that create returned; renewals do not change it, a later holder's is higher. */
  fenceToken: number;
  /** Fires when the lease is, or may be, another's. Nothing may be written under it from then on. */
  lost: AbortSignal;
  release: () => Promise<void>;
};

type LeaseBucket = Bucket<(typeof BUCKETS)["leases"]>;

/** Between our giving up and the server's forgetting, for its clock and ours tick apart. */
function marginOf(ttlMs: number): number {
  return Math.min(ttlMs / 5, 5_000);
}

/** Claims `key`; undefined: another has it. */
export async function acquireLease(
  connection: Connection,
  bucket: LeaseBucket,
  key: string,
  owner: string,
  options: LeaseOptions,
): Promise<Lease | undefined> {
  const since = toInstant(connection.clock.now());
  const begun = connection.clock.monotonicMs();
  const claim = { owner, since, ...(options.hears === undefined ? {} : { hears: options.hears }) };
  const created = await bucket.create(key, claim);
  if (created.written) return hold(connection, bucket, key, claim, created.revision, begun, options);
  const { current } = created;
  // A create whose answer was lost was repeated, and met itself.
  const isOurs =
    current?.value.owner === owner && current.value.since === since && current.value.renewedAt === undefined;
  return isOurs ? hold(connection, bucket, key, claim, current.revision, begun, options) : undefined;
}

function hold(
  connection: Connection,
  bucket: LeaseBucket,
  key: string,
  claim: { owner: string; since: string; hears?: string[] },
  fenceToken: number,
  begunMs: number,
  options: LeaseOptions,
): Lease {
  const { clock, log } = connection;
  const renewEveryMs = options.renewEveryMs ?? options.ttlMs / 4;
  const heldForMs = options.ttlMs - marginOf(options.ttlMs);
  const lost = new AbortController();
  let revision = fenceToken;
  let isOver = false;
  let renewal: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  let watchdog: NodeJS.Timeout | undefined;

  const end = () => {
    isOver = true;
    clearTimeout(timer);
    clearTimeout(watchdog);
  };
  const lose = (why: string) => {
    if (isOver) return;
    end();
    log.warn({ lease: key, fenceToken, why }, "lease lost");
    lost.abort(new StillpointError("LEASE_LOST", { what: "The lease is lost", where: key, why }));
  };
  // Apart from the renewals: one that hangs must not delay the moment when we let go by ourselves.
  const armWatchdog = (renewedMs: number) => {
    clearTimeout(watchdog);
    const left = renewedMs + heldForMs - clock.monotonicMs();
    watchdog = setTimeout(() => lose("it could not be renewed in time"), Math.max(0, left));
  };

  const renew = async () => {
    const asked = clock.monotonicMs();
    const renewedAt = toInstant(clock.now());
    let nextMs = renewEveryMs;
    try {
      const renewed = await bucket.update(key, { ...claim, renewedAt, fenceToken }, revision);
      if (renewed.written) {
        revision = renewed.revision;
        if (!isOver) armWatchdog(asked);
      } else if (renewed.current?.value.owner === claim.owner && renewed.current.value.since === claim.since) {
        // Our own renewal, whose answer was lost. When it was stored nobody knows: renew again, at once.
        revision = renewed.current.revision;
        nextMs = 0;
      } else {
        lose(renewed.current === undefined ? "it ran out" : `${renewed.current.value.owner} has it`);
      }
    } catch (error) {
      // Not lost yet: the server may come back before the watchdog fires.
      log.debug({ lease: key, why: String(error) }, "lease not renewed, trying again");
    }
    if (!isOver) timer = setTimeout(start, nextMs);
  };
  const start = () => {
    renewal = renew();
  };

  armWatchdog(begunMs);
  timer = setTimeout(start, renewEveryMs);

  const release = async () => {
    if (isOver) return;
    end();
    await renewal;
    await bucket.delete(key, revision);
  };
  return { key, fenceToken, lost: lost.signal, release, [Symbol.asyncDispose]: release };
}
