import { setTimeout as wait } from "node:timers/promises";
import { captureSource } from "@stillpoint/contracts/commands";
import { type ErrorBody, StillpointError, toStillpointError } from "@stillpoint/contracts/errors";
import { toInstant } from "@stillpoint/contracts/names";
import type { Plan } from "@stillpoint/contracts/plan";
import { sessionFinish, sessionReady } from "@stillpoint/contracts/sessions";
import type { RunSource } from "@stillpoint/contracts/state";
import { vaultTicket } from "@stillpoint/contracts/vault";
import { FRESH_MS, longEntries } from "@stillpoint/schedule/fresh-base";
import { parseSchedule } from "@stillpoint/schedule/schedule";
import type { OpenSession } from "./open-sessions.ts";
import type { RunContext } from "./run-context.ts";
import { untilDone } from "./step.ts";

/** A session with its base in the repository. */
export type Prepared = { session: OpenSession; brought: RunSource };

const STEP_TIMEOUT_MS = 5_000;
const OCCUPIED_RETRY_MS = 500;

/** Publishes a capture command for the source, once per run; a leftover of an ended run gives way within moments. */
export async function commandCapture(context: RunContext, source: string): Promise<void> {
  const { runId, plan, revision } = context.held.state;
  const spec = specOf(context, source);
  const parameters = { kind: spec.kind, site: spec.at, plan, source };
  const baseSince = baseSinceOf(context.plan, context.held.state.entries, context.now());
  const command = { runId, plan, revision, source, spec, mode: context.plan.cut.mode };
  const body = baseSince === undefined ? command : { ...command, baseSince };
  const giveUpMs = context.monotonicMs() + context.config.STILLPOINT_OPEN_TIMEOUT_MS;
  for (;;) {
    const outcome = await context.bus.publishCommand(captureSource, parameters, body, {
      messageId: `${runId}:${source}`,
    });
    if (outcome.outcome !== "occupied" || outcome.by.body.runId === runId) return;
    if (context.monotonicMs() > giveUpMs) {
      throw new StillpointError("ALREADY_RUNNING", {
        what: "The source is still owned by another run",
        where: source,
        why: `run ${outcome.by.body.runId} has not let it go`,
        hint: "see `stillpoint status`; cancel that run if it is stuck",
      });
    }
    await wait(OCCUPIED_RETRY_MS, undefined, { signal: context.signal });
  }
}

/** A point of a long entry rests on no base that is older than this; undefined: any will do. */
function baseSinceOf(plan: Plan, entries: readonly string[], nowMs: number): string | undefined {
  const long = longEntries(parseSchedule(plan)).some(({ name }) => entries.includes(name));
  return long ? toInstant(nowMs - FRESH_MS) : undefined;
}

/** Waits for a session newer than `after`, and until it has made its base. A session that dies is waited for again. */
export async function prepareSource(context: RunContext, source: string, after: number): Promise<Prepared> {
  const startedMs = context.monotonicMs();
  let newerThan = after;
  for (;;) {
    const session = await context.sessions.wait(source, newerThan, context.config.STILLPOINT_OPEN_TIMEOUT_MS);
    const done = await askReady(context, session, undefined);
    if (done === "died") {
      newerThan = session.fenceToken;
      continue;
    }
    const { kind, site, runtime, sizeBytes, addresses, fenceToken } = session;
    const brought: RunSource = {
      source,
      kind,
      site,
      session: session.session,
      fenceToken,
      runtime,
      addresses,
      base: done.standing === undefined ? done.backups.map((backup) => backup.backupId) : [done.standing.backupId],
      finished: [],
      bytes: sum(done.backups, "bytes") + (done.standing?.bytes ?? 0),
      storedBytes: sum(done.backups, "storedBytes"),
      ...(sizeBytes === undefined ? {} : { sizeBytes }),
      ms: context.monotonicMs() - startedMs,
    };
    await context.sources.write(brought);
    return { session, brought };
  }
}

/** Settles for a cut; `died` when the session is gone. */
export async function settle(context: RunContext, session: OpenSession, cutId: string): Promise<"settled" | "died"> {
  return (await askReady(context, session, cutId)) === "died" ? "died" : "settled";
}

async function askReady(context: RunContext, session: OpenSession, cutId: string | undefined) {
  const { runId, plan } = context.held.state;
  const vault = await captureTicket(context, session);
  if (vault === "died") return "died";
  return untilDone(session.source, {
    ...stepPorts(context),
    ask: () =>
      context.bus.request(
        sessionReady,
        { session: session.session },
        { runId, ...vault, ...(cutId === undefined ? {} : { cutId }) },
        { timeoutMs: STEP_TIMEOUT_MS },
      ),
    isAlive: () => context.sessions.isAlive(plan, session.source, session.session),
  });
}

/** Makes the repository hold everything up to the source's mark. */
export async function finishSource(
  context: RunContext,
  prepared: Prepared,
  cutId: string,
): Promise<RunSource | "died"> {
  const { session, brought } = prepared;
  const { runId, plan } = context.held.state;
  const startedMs = context.monotonicMs();
  const vault = await captureTicket(context, session);
  if (vault === "died") return "died";
  const done = await untilDone(session.source, {
    ...stepPorts(context),
    ask: () =>
      context.bus.request(
        sessionFinish,
        { session: session.session },
        { runId, cutId, ...vault },
        { timeoutMs: STEP_TIMEOUT_MS },
      ),
    isAlive: () => context.sessions.isAlive(plan, session.source, session.session),
  });
  if (done === "died") return "died";
  const finished: RunSource = {
    ...brought,
    finished: done.backups.map((backup) => backup.backupId),
    bytes: brought.bytes + sum(done.backups, "bytes") + done.logBytes,
    storedBytes: brought.storedBytes + sum(done.backups, "storedBytes"),
    ms: brought.ms + (context.monotonicMs() - startedMs),
  };
  await context.sources.write(finished);
  return finished;
}

function stepPorts(context: RunContext) {
  return {
    monotonicMs: context.monotonicMs,
    pollMs: context.config.STILLPOINT_POLL_MS,
    silenceMs: context.config.STILLPOINT_SILENCE_MS,
    signal: context.signal,
  };
}

/** The vault reads the session's lease first: without it there is no ticket. */
async function captureTicket(context: RunContext, session: OpenSession) {
  const { source, kind, fenceToken } = session;
  const { runId, plan } = context.held.state;
  const patience = { patienceMs: context.config.STILLPOINT_OPEN_TIMEOUT_MS, signal: context.signal };
  try {
    const { vaultUrl, ticket } = await context.bus.request(
      vaultTicket,
      {},
      { purpose: "capture", runId, plan, source, kind, fenceToken },
      { timeoutMs: STEP_TIMEOUT_MS, ...patience },
    );
    return { vaultUrl, ticket };
  } catch (error) {
    if (error instanceof StillpointError && error.code === "LEASE_LOST") return "died";
    throw error;
  }
}

export function specOf(context: Pick<RunContext, "plan">, source: string) {
  const spec = context.plan.sources[source];
  if (spec !== undefined) return spec;
  throw new StillpointError("PLAN_INVALID", { what: "The plan has no such source", where: source });
}

/** May a point be sealed without it? */
export function isOptional(context: Pick<RunContext, "plan">, source: string): boolean {
  return context.plan.optional.includes(source);
}

/** Why a source is left out, in one line. */
export function reasonOf(error: unknown): string {
  const body: ErrorBody = toStillpointError(error, "The source failed").toBody();
  return `${body.code}: ${body.what}${body.where === undefined ? "" : ` (${body.where})`}${body.why === undefined ? "" : `: ${body.why}`}`;
}

function sum(backups: readonly { bytes: number; storedBytes: number }[], of: "bytes" | "storedBytes"): number {
  return backups.reduce((total, backup) => total + backup[of], 0);
}
