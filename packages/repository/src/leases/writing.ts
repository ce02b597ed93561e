import { packName } from "../format/kinds.ts";
import { assertPacksThere } from "../garbage/chunks-there.ts";
import type { CondemnedState } from "../garbage/condemned-state.ts";
import { packUse } from "../garbage/pack-use.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { copyChunks } from "../write/copy-chunks.ts";
import { leaseLost, renewedLease } from "./renewed-lease.ts";

export type WritingOptions = {
  signal: AbortSignal;
  /** Called once with LEASE_LOST where the lease could not be renewed in time: the writer must stop. */
  fail: (error: unknown) => void;
  /** The newest generation of whose packs it uses nothing, where it uses something from before its beginning. */
  generation?: number;
  /** It takes what it uses back out of what is condemned: its lease goes on naming the generation that it began with. */
  pins?: true;
};

/**
 * What makes a writer safe beside the collector. Guaranteed: if `confirm` resolves, everything that was leaned on or owned is
 * there, and stays while what the writer put last (manifest, point) is a root. While the lease is alive no generation newer
 * than the one in it is swept.
 *
 * Order: `beginWriting` (what is condemned, the lease, what is condemned by then) before anything is leaned on; `leans` in
 * the same turn in which the index said where a chunk lies; `settle`, then the manifest with the generation it gave, then
 * `confirm`, then the answer. Disposal ends the lease.
 */
export async function beginWriting(context: RepositoryContext, options: WritingOptions) {
  const { signal } = options;
  const startedAt = (await context.condemned.load(signal)).newest;
  const lease = await renewedLease(context, { role: "writer", generation: options.generation ?? startedAt }, signal);
  // Before there was a lease a whole grace may have gone by: what is being swept now must be known as condemned.
  await context.condemned.load(signal);
  let generation = lease.generation;
  const use = packUse();
  /** Packs of its own: none of them is condemned while the lease lives. */
  const own = new Set<string>();

  /** Copies what was leaned on and is condemned now: afterwards the writer uses nothing of this generation. */
  async function copyCondemned(now: CondemnedState): Promise<void> {
    const lost = [...own].find((packId) => now.objects.has(packName(packId)));
    if (lost !== undefined) throw leaseLost(packName(lost), "what was just stored is condemned");
    for (;;) {
      const condemned = new Map<string, number>();
      for (const packId of use.packIds())
        if (now.objects.has(packName(packId))) condemned.set(packId, use.live(packId).chunks);
      if (condemned.size === 0) break;
      const { packs } = await copyChunks(context, condemned.keys(), use.uses, signal);
      for (const { packId } of packs) own.add(packId);
      // What came to be leaned on in one of them meanwhile may not have been copied: once more then.
      for (const [packId, chunks] of condemned) if (use.live(packId).chunks === chunks) use.drop(packId);
    }
    generation = now.newest;
  }

  /** One thing after the other: a renewal by the clock does not run into one by the writer. */
  let turn: Promise<unknown> = Promise.resolve();
  function inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = turn.then(work);
    turn = result.catch(() => undefined); // who asked for it is told
    return result;
  }

  let renewedAt = context.monotonicMs();
  const renew = () =>
    inTurn(async () => {
      const startedAt = context.monotonicMs();
      if (options.pins === undefined) await copyCondemned(await context.condemned.load(signal));
      await lease.renew(generation);
      renewedAt = startedAt;
    });

  // Our clock only says when to try; whether it was in time the storage's clock decides.
  let failure: unknown;
  const timer = setInterval(() => {
    if (context.monotonicMs() - renewedAt >= lease.stopMs)
      options.fail(failure ?? leaseLost("leases/", "it could not be renewed in time"));
    renew().catch((error: unknown) => {
      failure = error;
    });
  }, lease.renewMs);
  timer.unref();

  return {
    /** A chunk that was there already is used. */
    leans: (location: { packId: string; position: number }) => void use.add(location),
    /** A pack of its own is stored. */
    owns: (packId: string) => void own.add(packId),
    /** At a flush: the lease is renewed where it is time. */
    async flushed(): Promise<void> {
      if (context.monotonicMs() - renewedAt >= lease.renewMs) await renew();
    },
    renew,
    /** The newest generation there was when it began. */
    startedAt,
    /**
     * Before the manifest: what is condemned by now is stored anew. Gives what is condemned; its newest generation is the one
     * that the manifest names.
     */
    settle: () =>
      inTurn(async () => {
        await lease.assertAlive();
        for (;;) {
          const known = generation;
          const now = await context.condemned.load(signal);
          // What a swept generation named is not known any more.
          if (!knowsAllSince(now, known)) await assertPacksThere(context, use.packIds(), signal);
          await copyCondemned(now);
          if (now.newest === known) return now;
        }
      }),
    assertAlive: () => inTurn(lease.assertAlive),
    /** The packs that it leans on. */
    packs: () => [...use.packIds()],
    /** After the manifest, before the answer: LEASE_LOST, or OBJECT_DAMAGED with the pack that is gone. */
    async confirm(): Promise<void> {
      await lease.assertAlive();
      await assertPacksThere(context, [...own, ...use.packIds()], signal);
    },
    async [Symbol.asyncDispose](): Promise<void> {
      clearInterval(timer);
      await turn;
      await lease.end();
    },
  };
}
export type Writing = Awaited<ReturnType<typeof beginWriting>>;

function knowsAllSince({ generations, newest }: CondemnedState, generation: number): boolean {
  const there = new Set(generations.map(({ document }) => document.generation));
  for (let number = generation + 1; number <= newest; number++) if (!there.has(number)) return false;
  return true;
}
