import { randomUUID } from "node:crypto";
import type { Bus } from "@stillpoint/bus/bus";
import { StillpointError } from "@stillpoint/contracts/errors";
import {
  captureAnomaly,
  captureUsual,
  logGapped,
  planAccepted,
  planRejected,
  pointSealed,
  proofSealed,
  runFailed,
  shippingFailed,
  shippingStarted,
} from "@stillpoint/contracts/events";
import { toInstant, uuidv7 } from "@stillpoint/contracts/names";
import type { Point } from "@stillpoint/contracts/point";

let ids = 0;
/** Later ones sort after earlier ones, as those of real points do. */
export function newPointId(): string {
  ids += 1;
  return uuidv7(Date.parse("2026-03-03T00:00:00.000Z") + ids, Buffer.alloc(10, 1));
}

const now = () => toInstant(Date.now());

export async function tellRunFailed(bus: Bus, plan: string, why = "connection refused"): Promise<void> {
  const runId = randomUUID();
  const error = new StillpointError("SOURCE_UNREACHABLE", {
    what: "Cannot open the source",
    where: "orders",
    why,
  }).toBody();
  await bus.publishEvent(
    runFailed,
    { runId },
    { runId, plan, pointId: newPointId(), at: now(), error, source: "orders" },
  );
}

export async function tellPointSealed(bus: Bus, plan: string, rest: Partial<Point> = {}): Promise<string> {
  const pointId = rest.pointId ?? newPointId();
  const point: Point = {
    pointId,
    runId: randomUUID(),
    plan,
    revision: "a".repeat(64),
    entries: ["daily"],
    cut: {
      cutId: randomUUID(),
      mode: "align",
      at: now(),
      consistency: "aligned",
      reasons: [],
      windowMs: 5,
      skewMs: 1,
      offsetsMs: {},
    },
    sources: [],
    skipped: [],
    partial: false,
    startedAt: now(),
    sealedAt: now(),
    ...rest,
  };
  await bus.publishEvent(pointSealed, { pointId }, { point });
  return pointId;
}

export async function tellProof(
  bus: Bus,
  plan: string,
  pointId: string,
  verdict: "pass" | "fail" | "inconclusive",
): Promise<void> {
  const checks = [{ name: "orders rows", verdict, detail: "12 of 13", sources: ["orders"] }];
  const proof = {
    proofId: randomUUID(),
    pointId,
    plan,
    verdict,
    checks,
    reasons: [],
    rtoMs: 5,
    ms: 9,
    startedAt: now(),
    finishedAt: now(),
  };
  await bus.publishEvent(proofSealed, { pointId }, { proof });
}

export async function tellPlanRejected(bus: Bus, plan: string): Promise<void> {
  const error = new StillpointError("PLAN_INVALID", {
    what: "Cannot accept the plan",
    where: "line 7, cut.mode",
  }).toBody();
  await bus.publishEvent(planRejected, { plan }, { plan, error, at: now() });
}

export async function tellPlanAccepted(bus: Bus, plan: string): Promise<void> {
  await bus.publishEvent(planAccepted, { plan }, { plan, revision: "b".repeat(64), at: now() });
}

/** A tree of files that was encrypted; its point, and the one that is held for it. */
export async function tellAnomaly(bus: Bus, plan: string, source: string, held: string): Promise<void> {
  const runId = randomUUID();
  const findings = [{ what: "share of it that is new", value: 98.7, usual: 0.4, unit: "%" as const }];
  const about = { runId, plan, source, pointId: newPointId(), at: now() };
  await bus.publishEvent(
    captureAnomaly,
    { runId, source },
    { ...about, kind: "files", findings, findingCount: 1, held: { pointId: held, holdId: randomUUID(), proven: true } },
  );
}

export async function tellUsual(bus: Bus, plan: string, source: string): Promise<void> {
  const runId = randomUUID();
  const about = { runId, plan, source, pointId: newPointId(), at: now() };
  await bus.publishEvent(captureUsual, { runId, source }, { ...about, why: "the source is as it was" });
}

const log = { plan: "shop", source: "orders", kind: "postgres" as const };

export async function tellShippingFailed(bus: Bus, attempt: number, forMs: number): Promise<void> {
  const error = new StillpointError("SOURCE_UNREACHABLE", { what: "Cannot read the log", why: "connection refused" });
  const failure = { error: error.toBody(), attempt, forMs, againInMs: 4_000, agent: "agent-1" };
  await bus.publishEvent(shippingFailed, log, { ...log, ...failure, at: now() });
}

export async function tellShippingStarted(bus: Bus): Promise<void> {
  const held = { stream: "1", at: "0000000A" };
  await bus.publishEvent(shippingStarted, log, { ...log, held, agent: "agent-1", fenceToken: 3, at: now() });
}

export async function tellGap(bus: Bus): Promise<void> {
  const gap = { ...log, after: { stream: "1", at: "0000000A" }, why: "the slot is gone", at: now() };
  await bus.publishEvent(logGapped, log, { gap });
}
