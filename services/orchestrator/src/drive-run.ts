import { captureSource } from "@stillpoint/contracts/commands";
import { StillpointError, toStillpointError } from "@stillpoint/contracts/errors";
import { runFinished, runStarted } from "@stillpoint/contracts/events";
import type { CutEvidence, Point } from "@stillpoint/contracts/point";
import { sessionAbort, sessionClose } from "@stillpoint/contracts/sessions";
import type { RunSource } from "@stillpoint/contracts/state";
import { vaultSeal } from "@stillpoint/contracts/vault";
import { cutAndFinish, finishAll, leaveOut, type Members } from "./cut-run.ts";
import { failRun } from "./fail-run.ts";
import { release } from "./fence.ts";
import { commandCapture, isOptional, prepareSource, specOf } from "./prepare.ts";
import { changeState, commonState, type RunContext } from "./run-context.ts";
import { assemblePoint } from "./seal.ts";
import { isUnanswered } from "./step.ts";

const SEAL_TIMEOUT_MS = 30_000;
const SEAL_RETRY_MS = 300_000;
const GOODBYE_TIMEOUT_MS = 2_000;

/**
 * Drives a run from wherever its state says it is to `sealed` or `failed`. Returns when either is written and told;
 * throws only when this process no longer drives the run (LEASE_LOST) or stops (CANCELLED by its signal).
 */
export async function driveRun(context: RunContext): Promise<void> {
  const { state } = context.held;
  if (state.state === "sealed") return sayGoodbye(context, "close", "the point is sealed");
  if (state.state === "failed") return sayGoodbye(context, "abort", state.error.what);
  const { runId, plan, revision, pointId, entries, requestedBy, startedAt } = state;
  await context.bus.publishEvent(
    runStarted,
    { runId },
    { runId, plan, pointId, at: startedAt, revision, entries, requestedBy },
  );
  try {
    const point = await makePoint(context);
    await changeState(context, { ...commonState(context), state: "sealed", sealedAt: point.sealedAt });
    const { partial, skipped } = point;
    await context.bus.publishEvent(
      runFinished,
      { runId },
      { runId, plan, pointId, at: point.sealedAt, partial, skipped },
    );
  } catch (error) {
    if (isNotOurs(error, context)) throw error;
    await failRun(context, error);
    return sayGoodbye(context, "abort", reasonOfFailure(error));
  }
  await sayGoodbye(context, "close", "the point is sealed");
}

async function makePoint(context: RunContext): Promise<Point> {
  const resumed = await resumeCut(context);
  if (resumed !== undefined) return seal(context, resumed.evidence, resumed.members);
  const members = await prepareAll(context);
  const evidence = await cutAndFinish(context, members);
  await changeState(context, { ...commonState(context), state: "finished", evidence });
  return seal(context, evidence, members);
}

/** What a predecessor left: a cut that still holds goes on, any other is void and taken anew. */
async function resumeCut(context: RunContext): Promise<{ evidence: CutEvidence; members: Members } | undefined> {
  const { state } = context.held;
  if (state.state === "finished") return { evidence: state.evidence, members: await membersOf(context) };
  if (state.state === "cutting") {
    if (state.fenceId !== undefined && context.plan.cut.hook !== undefined)
      await releaseLeftFence(context, state.fenceId);
    await voidCut(context);
    return undefined;
  }
  if (state.state !== "marked") return undefined;
  const members = await membersOf(context);
  const failures = (await allLive(context, members)) ? await finishAll(context, members, state) : undefined;
  if (failures?.length === 0) {
    await changeState(context, { ...commonState(context), state: "finished", evidence: state.evidence });
    return { evidence: state.evidence, members };
  }
  await voidCut(context);
  return undefined;
}

async function voidCut(context: RunContext): Promise<void> {
  const common = commonState(context);
  await changeState(context, { ...common, state: "opened", voidedCuts: common.voidedCuts + 1 });
}

async function releaseLeftFence(context: RunContext, fenceId: string): Promise<void> {
  const { hook } = context.plan.cut;
  if (hook === undefined) return;
  try {
    await release(hook, fenceId, GOODBYE_TIMEOUT_MS, { secret: context.secret, requestJson: context.bus.requestJson });
  } catch (error) {
    // The application goes on by itself when its expiry passes; until then the next quiesce is refused and the cut void.
    context.log("a fence that was left could not be released", {
      fenceId,
      error: toStillpointError(error, "release").toBody(),
    });
  }
}

/** Members as the run's state holds them. A source that the run left out is recognised by having no session there. */
async function membersOf(context: RunContext): Promise<Members> {
  const members: Members = { prepared: new Map(), skipped: new Map() };
  for (const source of Object.keys(context.plan.sources)) {
    const brought = await context.sources.read(source);
    if (brought?.skipped !== undefined) members.skipped.set(source, brought.skipped);
    else if (brought !== undefined) {
      const session = await context.sessions.wait(
        source,
        brought.fenceToken - 1,
        context.config.STILLPOINT_OPEN_TIMEOUT_MS,
      );
      members.prepared.set(source, { session, brought });
    }
  }
  return members;
}

async function allLive(context: RunContext, members: Members): Promise<boolean> {
  const { plan } = context.held.state;
  const unfinished = [...members.prepared.values()].filter(({ brought }) => brought.finished.length === 0);
  const live = await Promise.all(
    unfinished.map(({ brought }) => context.sessions.isAlive(plan, brought.source, brought.session)),
  );
  return live.every((each) => each);
}

async function prepareAll(context: RunContext): Promise<Members> {
  const members: Members = { prepared: new Map(), skipped: new Map() };
  await Promise.all(
    Object.keys(context.plan.sources).map(async (source) => {
      try {
        await commandCapture(context, source);
        members.prepared.set(source, await prepareSource(context, source, 0));
      } catch (error) {
        context.signal.throwIfAborted();
        if (!isOptional(context, source)) throw inSource(error, source);
        leaveOut(members, source, error);
      }
    }),
  );
  if (members.prepared.size > 0) return members;
  throw new StillpointError("SOURCE_UNREACHABLE", {
    what: "No source could be captured",
    where: context.held.state.plan,
    why: [...members.skipped].map(([source, reason]) => `${source}: ${reason}`).join("; "),
  });
}

function inSource(error: unknown, source: string): StillpointError {
  const { code, what, where, why, hint } = toStillpointError(error, "Cannot capture the source");
  const place = where === undefined || where === source ? source : `${source}, ${where}`;
  return new StillpointError(code, { what, where: place, why, hint, cause: error });
}

async function seal(context: RunContext, evidence: CutEvidence, members: Members): Promise<Point> {
  const sources = [...members.prepared.values()].map(({ brought }) => brought);
  const left = [...members.skipped].map(([source, skipped]) => skippedSource(context, source, skipped));
  for (const each of left) await context.sources.write(each);
  const point = assemblePoint(context.held.state, evidence, [...sources, ...left]);
  const reply = await context.bus.request(
    vaultSeal,
    {},
    { point },
    {
      timeoutMs: SEAL_TIMEOUT_MS,
      patienceMs: SEAL_RETRY_MS,
      signal: context.signal,
    },
  );
  return reply.point;
}

function skippedSource(context: RunContext, source: string, skipped: string): RunSource {
  const { kind, at: site } = specOf(context, source);
  const runtime = { id: "none", version: "", arch: "", extensions: [], settings: {} };
  return {
    source,
    kind,
    site,
    session: "none",
    fenceToken: 1,
    runtime,
    addresses: [],
    base: [],
    finished: [],
    bytes: 0,
    storedBytes: 0,
    ms: 0,
    skipped,
  };
}

/** Sessions are told, and what is left of the commands is removed; an agent that hears nothing sees the state. */
async function sayGoodbye(context: RunContext, verb: "close" | "abort", reason: string): Promise<void> {
  const { runId, plan } = context.held.state;
  await Promise.all(
    Object.keys(context.plan.sources).map(async (source) => {
      const brought = await context.sources.read(source);
      if (brought === undefined || brought.skipped !== undefined) return;
      const parameters = { session: brought.session };
      const told =
        verb === "close"
          ? context.bus.request(sessionClose, parameters, { runId }, { timeoutMs: GOODBYE_TIMEOUT_MS })
          : context.bus.request(sessionAbort, parameters, { runId, reason }, { timeoutMs: GOODBYE_TIMEOUT_MS });
      await told.catch((error: unknown) => {
        // It has ended already: the state told it, or its process is gone. Nothing is left to do there.
        if (!isUnanswered(error)) throw error;
      });
    }),
  );
  await context.bus.purgeCommands(captureSource, { plan });
}

function isNotOurs(error: unknown, context: RunContext): boolean {
  return context.signal.aborted
    ? !isCancelled(context.signal)
    : error instanceof StillpointError && error.code === "LEASE_LOST" && error.where === context.held.state.runId;
}

/** A person cancelled the run: that is a result, unlike a process that stops. */
function isCancelled(signal: AbortSignal): boolean {
  return signal.reason instanceof StillpointError && signal.reason.code === "CANCELLED";
}

function reasonOfFailure(error: unknown): string {
  return toStillpointError(error, "The run failed").message;
}
