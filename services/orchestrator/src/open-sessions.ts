import type { Bucket } from "@stillpoint/bus/bucket";
import type { Bus } from "@stillpoint/bus/bus";
import { StillpointError } from "@stillpoint/contracts/errors";
import { captureOpened, captureRefused } from "@stillpoint/contracts/events";
import type { BUCKETS } from "@stillpoint/contracts/topology";
import type { z } from "zod";

export type OpenSession = z.infer<typeof captureOpened.body>;
type Refusal = z.infer<typeof captureRefused.body>;

/**
 * Which session owns each source of a run, read from the run's first event on, so that a successor sees what its
 * predecessor saw. Per source the highest fence token counts.
 */
export function trackSessions(
  bus: Bus,
  leases: Bucket<(typeof BUCKETS)["leases"]>,
  run: { runId: string; eventsAfter: number },
  signal: AbortSignal,
) {
  const { runId, eventsAfter } = run;
  const newest = new Map<string, { opened: OpenSession } | { refused: Refusal }>();
  let wake = Promise.withResolvers<void>();

  function take(source: string, fenceToken: number, what: { opened: OpenSession } | { refused: Refusal }): void {
    if (fenceToken < fenceTokenOf(newest.get(source))) return;
    newest.set(source, what);
    wake.resolve();
    wake = Promise.withResolvers();
  }

  const following = (async () => {
    const options = { parameters: { runId }, after: eventsAfter, signal };
    for await (const fact of bus.followEvents([captureOpened, captureRefused], options)) {
      if (fact.type === captureOpened.subject) take(fact.body.source, fact.body.fenceToken, { opened: fact.body });
      else if (fact.type === captureRefused.subject)
        take(fact.body.source, fact.body.fenceToken, { refused: fact.body });
    }
  })();
  // A broken follower must not leave anybody waiting for ever: the waiters below race with it.
  following.catch(() => {});

  return {
    /** The session that owns the source, newer than `after`. Rejects with the agent's reason if it was refused. */
    async wait(source: string, after: number, timeoutMs: number): Promise<OpenSession> {
      const deadline = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
      const late = new Promise<"late">((resolve) =>
        deadline.addEventListener("abort", () => resolve("late"), { once: true }),
      );
      for (;;) {
        const known = newest.get(source);
        if (known !== undefined && fenceTokenOf(known) > after) {
          if ("opened" in known) return known.opened;
          throw StillpointError.fromBody(known.refused.error);
        }
        signal.throwIfAborted();
        if (deadline.aborted) {
          throw new StillpointError("SOURCE_UNREACHABLE", {
            what: "No agent opened the source",
            where: source,
            why: `none answered within ${Math.round(timeoutMs / 1000)} s`,
            hint: "check that an agent of the source's kind and site runs: stillpoint status",
          });
        }
        await Promise.race([wake.promise, late, following]);
      }
    },
    /** A session is dead when its lease is gone, and not before. */
    async isAlive(plan: string, source: string, session: string): Promise<boolean> {
      return (await leases.get(`capture.${plan}.${source}`))?.value.owner === session;
    },
  };
}
export type Sessions = ReturnType<typeof trackSessions>;

function fenceTokenOf(known: { opened: OpenSession } | { refused: Refusal } | undefined): number {
  if (known === undefined) return 0;
  return "opened" in known ? known.opened.fenceToken : known.refused.fenceToken;
}
