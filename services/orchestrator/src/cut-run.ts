import { StillpointError } from "@stillpoint/contracts/errors";
import type { CutEvidence } from "@stillpoint/contracts/point";
import { sessionCut } from "@stillpoint/contracts/sessions";
import type { RunSource } from "@stillpoint/contracts/state";
import { type CutOutcome, takeCut } from "./cut.ts";
import { quiesce, release } from "./fence.ts";
import { finishSource, isOptional, type Prepared, prepareSource, reasonOf, settle } from "./prepare.ts";
import { at, changeState, commonState, type RunContext } from "./run-context.ts";

/** The sources of a run as they stand: those with a session, and those left out, with the reason. */
export type Members = { prepared: Map<string, Prepared>; skipped: Map<string, string> };

const RELEASE_TIMEOUT_MS = 5_000;
/** Three voided cuts fail the run. */
const MOST_VOIDED = 3;

/** Takes cuts until one holds and its sources are finished. Throws when the third is void. */
export async function cutAndFinish(context: RunContext, members: Members): Promise<CutEvidence> {
  for (;;) {
    const cutId = context.newId();
    await settleAll(context, members, cutId);
    const outcome = await cutOnce(context, members, cutId);
    const failures = outcome.taken ? await finishAll(context, members, outcome) : outcome.failures;
    if (outcome.taken && failures.length === 0) return outcome.evidence;
    await giveUpOrGoOn(context, members, failures);
  }
}

type Failure = { source?: string; error: unknown };

async function settleAll(context: RunContext, members: Members, cutId: string): Promise<void> {
  await forEachMember(context, members, async (source, prepared) => {
    let current = prepared;
    while ((await settle(context, current.session, cutId)) === "died") {
      current = await prepareSource(context, source, current.session.fenceToken);
      members.prepared.set(source, current);
    }
  });
}

async function cutOnce(context: RunContext, members: Members, cutId: string): Promise<CutOutcome> {
  const { hook, mode, ttl, budget } = context.plan.cut;
  const fenceId = mode === "fence" ? context.newId() : undefined;
  // Written before the application is asked to be quiet, so that whoever comes after this process knows what to release.
  const revision = await changeState(context, {
    ...commonState(context),
    state: "cutting",
    cutId,
    ...(fenceId === undefined ? {} : { fenceId }),
  });
  const transport = { secret: context.secret, requestJson: context.bus.requestJson };
  const outcome = await takeCut({ cutId, budgetMs: budget }, [...members.prepared].map(memberOf), {
    monotonicMs: context.monotonicMs,
    now: () => at(context),
    mark: async (source, budgetMs) => {
      const prepared = members.prepared.get(source);
      if (prepared === undefined)
        throw new StillpointError("INTERNAL", { what: "A cut lost its source", where: source });
      const { mark } = await context.bus.request(
        sessionCut,
        { session: prepared.session.session },
        { runId: context.held.state.runId, cutId, revision, budgetMs, fenced: fenceId !== undefined },
        { timeoutMs: budgetMs },
      );
      return mark;
    },
    ...(hook === undefined || fenceId === undefined
      ? {}
      : {
          fence: {
            quiesce: () => quiesce(hook, { fenceId, ttlMs: ttl }, transport),
            release: () => release(hook, fenceId, RELEASE_TIMEOUT_MS, transport),
          },
        }),
  });
  if (!outcome.taken) return outcome;
  for (const [source, prepared] of members.prepared) {
    const mark = outcome.marks.get(source);
    if (mark !== undefined) prepared.brought = { ...prepared.brought, mark };
    await context.sources.write(prepared.brought);
  }
  await changeState(context, { ...commonState(context), state: "marked", evidence: outcome.evidence });
  return outcome;
}

function memberOf([source, prepared]: [string, Prepared]) {
  return { source, hasLog: prepared.session.hasLog };
}

/** Failures of this cut: none if every source that must be there is finished. An optional one is left out instead. */
export async function finishAll(
  context: RunContext,
  members: Members,
  cut: { evidence: CutEvidence },
): Promise<Failure[]> {
  const failures: Failure[] = [];
  await Promise.all(
    [...members.prepared].map(async ([source, prepared]) => {
      try {
        const brought: RunSource | "died" = await finishSource(context, prepared, cut.evidence.cutId);
        if (brought !== "died") members.prepared.set(source, { ...prepared, brought });
        else
          throw new StillpointError("SOURCE_LOST", {
            what: "The session died between its mark and its finish",
            where: source,
          });
      } catch (error) {
        context.signal.throwIfAborted();
        if (isOptional(context, source)) leaveOut(members, source, error);
        else failures.push({ source, error });
      }
    }),
  );
  return failures;
}

async function giveUpOrGoOn(context: RunContext, members: Members, failures: readonly Failure[]): Promise<void> {
  context.signal.throwIfAborted();
  const voidedCuts = context.held.state.voidedCuts + 1;
  await changeState(context, { ...commonState(context), state: "opened", voidedCuts });
  context.log("cut is void", { voidedCuts, reasons: failures.map(({ error }) => reasonOf(error)) });
  const [first] = failures;
  if (voidedCuts < MOST_VOIDED) {
    // Sources whose session died are opened anew; the others go on with the base that they have.
    await forEachMember(context, members, async (source, prepared) => {
      const { plan } = context.held.state;
      if (await context.sessions.isAlive(plan, source, prepared.session.session)) return;
      members.prepared.set(source, await prepareSource(context, source, prepared.session.fenceToken));
    });
    return;
  }
  // The last cut may do without the sources that failed it, where the plan allows that.
  const blamed = failures.flatMap(({ source, error }) => (source === undefined ? [] : [{ source, error }]));
  const dispensable = blamed.length === failures.length && blamed.every(({ source }) => isOptional(context, source));
  if (voidedCuts === MOST_VOIDED && dispensable && blamed.length < members.prepared.size) {
    for (const { source, error } of blamed) leaveOut(members, source, error);
    return;
  }
  throw new StillpointError("CUT_VOID", {
    what: `${voidedCuts} cuts were void`,
    where: first?.source,
    why: reasonOf(first?.error),
    hint: "see the reason above; the next scheduled run tries again",
  });
}

/** All members at once; one that fails is left out if the plan allows it, and fails the run otherwise. */
export async function forEachMember(
  context: RunContext,
  members: Members,
  act: (source: string, prepared: Prepared) => Promise<void>,
): Promise<void> {
  await Promise.all(
    [...members.prepared].map(async ([source, prepared]) => {
      try {
        await act(source, prepared);
      } catch (error) {
        context.signal.throwIfAborted();
        if (!isOptional(context, source)) throw error;
        leaveOut(members, source, error);
      }
    }),
  );
}

export function leaveOut(members: Members, source: string, error: unknown): void {
  members.prepared.delete(source);
  members.skipped.set(source, reasonOf(error));
}
