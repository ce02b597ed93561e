import { type ErrorBody, StillpointError, toStillpointError } from "@stillpoint/contracts/errors";
import type { CutEvidence, Mark } from "@stillpoint/contracts/point";
import { judgeCut } from "./consistency.ts";

export type CutMember = { source: string; hasLog: boolean };

export type CutPorts = {
  monotonicMs: () => number;
  now: () => string;
  /** Asks one session for its mark; rejects when it failed or when no answer came within the budget. */
  mark: (source: string, budgetMs: number) => Promise<Mark>;
  /** Absent in mode `align`. */
  fence?: {
    quiesce: () => Promise<{ sequence?: number | undefined }>;
    release: () => Promise<{ heldThroughout: boolean }>;
  };
};

export type CutOutcome =
  | { taken: true; evidence: CutEvidence; marks: Map<string, Mark> }
  | { taken: false; failures: { source?: string; error: ErrorBody }[] };

/**
 * Takes one cut whole, or not at all. The fence is released when the last mark is in and on any failure, before this
 * resolves.
 */
export async function takeCut(
  cut: { cutId: string; budgetMs: number },
  members: readonly CutMember[],
  ports: CutPorts,
): Promise<CutOutcome> {
  let quiet: { sequence?: number | undefined } | undefined;
  let confirmedMs: number | undefined;
  if (ports.fence !== undefined) {
    try {
      quiet = await ports.fence.quiesce();
      confirmedMs = ports.monotonicMs();
    } catch (error) {
      // It may be quiet all the same: only its answer was lost.
      await released(ports);
      return {
        taken: false,
        failures: [{ error: toStillpointError(error, "Cannot make the application quiet").toBody() }],
      };
    }
  }
  const firstRequestMs = ports.monotonicMs();
  const deadlineMs = firstRequestMs + cut.budgetMs;
  const answers =
    ports.fence === undefined ? await inTurn(members, deadlineMs, ports) : await atOnce(members, deadlineMs, ports);
  const releasedMs = ports.fence === undefined ? undefined : ports.monotonicMs();
  const heldThroughout = await released(ports);

  const failures = answers.filter((answer) => "error" in answer);
  if (failures.length > 0) return { taken: false, failures };
  const marks = answers.filter((answer) => "mark" in answer);
  const evidence = judgeCut({
    cutId: cut.cutId,
    mode: ports.fence === undefined ? "align" : "fence",
    at: ports.now(),
    firstRequestMs,
    marks,
    ...(confirmedMs === undefined ? {} : { confirmedMs }),
    ...(releasedMs === undefined ? {} : { releasedMs }),
    ...(heldThroughout === undefined ? {} : { heldThroughout }),
    ...(quiet?.sequence === undefined ? {} : { sequence: quiet.sequence }),
  });
  return { taken: true, evidence, marks: new Map(marks.map(({ source, mark }) => [source, mark])) };
}

type Answer = { source: string; mark: Mark; repliedMs: number } | { source: string; error: ErrorBody };

function atOnce(members: readonly CutMember[], deadlineMs: number, ports: CutPorts): Promise<Answer[]> {
  return Promise.all(members.map((member) => askMark(member.source, deadlineMs, ports)));
}

/** Stores without a log first: only those with one can be marked at any later position. */
async function inTurn(members: readonly CutMember[], deadlineMs: number, ports: CutPorts): Promise<Answer[]> {
  const snapshots = await atOnce(
    members.filter((member) => !member.hasLog),
    deadlineMs,
    ports,
  );
  if (snapshots.some((answer) => "error" in answer)) return snapshots;
  return [
    ...snapshots,
    ...(await atOnce(
      members.filter((member) => member.hasLog),
      deadlineMs,
      ports,
    )),
  ];
}

async function askMark(source: string, deadlineMs: number, ports: CutPorts): Promise<Answer> {
  try {
    const budgetMs = Math.max(1, Math.round(deadlineMs - ports.monotonicMs()));
    const mark = await ports.mark(source, budgetMs);
    const repliedMs = ports.monotonicMs();
    if (repliedMs <= deadlineMs) return { source, mark, repliedMs };
    throw new StillpointError("CUT_VOID", {
      what: "A mark came too late",
      where: source,
      why: `${Math.round(repliedMs - deadlineMs)} ms after the budget for the cut had passed`,
    });
  } catch (error) {
    return { source, error: toStillpointError(error, "Cannot fix the source's position").toBody() };
  }
}

/** What the application says of the fence; undefined where it gave no answer, which is judged as "not held". */
async function released(ports: CutPorts): Promise<boolean | undefined> {
  if (ports.fence === undefined) return undefined;
  try {
    return (await ports.fence.release()).heldThroughout;
  } catch (error) {
    if (error instanceof StillpointError && error.code === "FENCE_FAILED") return undefined;
    throw error;
  }
}
