import { StillpointError } from "@stillpoint/contracts/errors";
import { pointSealed, progress, proofSealed, runFailed, runFinished } from "@stillpoint/contracts/events";
import type { Point, Proof } from "@stillpoint/contracts/point";
import type { progressBoard } from "./progress-board.ts";
import type { GuestBus } from "./reach.ts";

type Board = ReturnType<typeof progressBoard>;
const REDRAW_MS = 100;

/** Shows what is heard of a run, or of a proof, until `work` is done. */
async function watched<Result>(
  bus: GuestBus,
  id: string | undefined,
  board: Board,
  work: () => Promise<Result>,
): Promise<Result> {
  await using _heard = await bus.hearSignals(
    progress,
    { parameters: id === undefined ? {} : { runId: id } },
    ({ body }) => board.show(body.source, body),
  );
  const redraw = setInterval(() => board.tick(), REDRAW_MS);
  try {
    return await work();
  } finally {
    clearInterval(redraw);
    board.tick();
  }
}

/** Waits until the run has ended; gives its point, or throws the run's own error. */
export function followRun(
  bus: GuestBus,
  runId: string,
  after: number,
  board: Board,
  signal: AbortSignal,
): Promise<Point> {
  return watched(bus, runId, board, async () => {
    const ended = new AbortController();
    const until = AbortSignal.any([signal, ended.signal]);
    try {
      let pointId: string | undefined;
      const sealed = new Map<string, Point>();
      for await (const fact of bus.followEvents([runFinished, runFailed, pointSealed], { after, signal: until })) {
        if (fact.type === "current") continue;
        if (fact.type === runFailed.subject && fact.body.runId === runId)
          throw StillpointError.fromBody(fact.body.error);
        if (fact.type === runFinished.subject && fact.body.runId === runId) pointId = fact.body.pointId;
        if (fact.type === pointSealed.subject) sealed.set(fact.body.point.pointId, fact.body.point);
        const point = pointId === undefined ? undefined : sealed.get(pointId);
        if (point !== undefined) return point;
      }
      throw stopped(signal, runId);
    } finally {
      ended.abort();
    }
  });
}

/** Waits for a proof of the point that was sealed after `after`; the newest, where no id is given. */
export function followProof(
  bus: GuestBus,
  wanted: { pointId: string; proofId?: string },
  after: number,
  board: Board,
  signal: AbortSignal,
): Promise<Proof> {
  return watched(bus, wanted.proofId, board, async () => {
    const ended = new AbortController();
    const until = AbortSignal.any([signal, ended.signal]);
    try {
      const options = { parameters: { pointId: wanted.pointId }, after, signal: until };
      for await (const fact of bus.followEvents([proofSealed], options)) {
        if (fact.type === "current") continue;
        const { proof } = fact.body;
        if (wanted.proofId === undefined || proof.proofId === wanted.proofId) return proof;
      }
      throw stopped(signal, wanted.pointId);
    } finally {
      ended.abort();
    }
  });
}

function stopped(signal: AbortSignal, where: string): StillpointError {
  return signal.reason instanceof StillpointError
    ? signal.reason
    : new StillpointError("UNREACHABLE", { what: "The connection to NATS ended while waiting", where });
}
