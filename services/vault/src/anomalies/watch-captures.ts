import type { Bucket } from "@stillpoint/bus/bucket";
import type { Bus } from "@stillpoint/bus/bus";
import { on } from "@stillpoint/bus/project";
import type { Clock } from "@stillpoint/contracts/clock";
import { captureAnomaly, captureUsual, pointSealed } from "@stillpoint/contracts/events";
import { toInstant } from "@stillpoint/contracts/names";
import type { Point, PointSource } from "@stillpoint/contracts/point";
import type { UsualPoints } from "@stillpoint/contracts/state";
import { BUCKETS } from "@stillpoint/contracts/topology";
import type { Repository } from "@stillpoint/repository/repository";
import { type Finding, findAnomalies, POINTS_COMPARED } from "./find-anomalies.ts";
import { lastGood } from "./last-good.ts";
import { pointsBefore } from "./points-before.ts";
import { sizedSources } from "./sized-sources.ts";

export type CaptureWatch = {
  repository: Repository;
  bus: Bus;
  clock: Clock;
};

const NAME = "vault-anomalies";
/** Who holds, as a hold says it. */
const BY = "watch on captures";
/** The rest is in the numbers of the point itself. */
const FINDINGS_TOLD = 20;

type Usual = Bucket<(typeof BUCKETS)["usual"]>;

/**
 * Compares each whole point with those before it. A point that is unlike them does not count as usual, so that an alarm lasts until
 * the source is as it was, or until a person released the hold and took the change for good.
 */
export async function watchCaptures(watch: CaptureWatch): Promise<AsyncDisposable> {
  const usual = await watch.bus.bucket(BUCKETS.usual);
  return await watch.bus.projectEvents(NAME, [on(pointSealed, ({ body: { point } }) => judge(watch, usual, point))]);
}

/** Of an installation that made points before it watched them. */
async function usualBefore({ repository }: CaptureWatch, point: Point): Promise<string[]> {
  const before = await pointsBefore(repository, point);
  return before
    .slice(0, POINTS_COMPARED)
    .reverse()
    .map(({ pointId }) => pointId);
}

async function holdLastGood({ repository }: CaptureWatch, point: Point): Promise<UsualPoints["alarm"]> {
  const good = await lastGood(repository, point);
  if (good === undefined) return { sources: [] };
  const { pointId } = good.point;
  // Whoever was cut off behind placing it finds his own.
  const mine = (await repository.holdsOn(pointId)).find(({ by }) => by === BY);
  const what = good.proven ? "the last proven point" : "the last whole point";
  const reason = `${what} before ${point.pointId}, which is unlike those before it`;
  const { holdId } = mine ?? (await repository.placeHold(pointId, { by: BY, reason }));
  return { sources: [], held: { pointId, holdId, proven: good.proven } };
}

async function judge(watch: CaptureWatch, usual: Usual, point: Point): Promise<void> {
  const { plan, pointId, runId } = point;
  if (point.partial) return;
  const known: UsualPoints = (await usual.get(plan))?.value ?? { points: await usualBefore(watch, point) };
  if (known.last === pointId || known.points.includes(pointId)) return; // told twice
  const at = toInstant(watch.clock.now());
  const keep = (rest: UsualPoints) => usual.put(plan, rest);
  const usualAgain = async (why: string) => {
    for (const source of known.alarm?.sources ?? [])
      await watch.bus.publishEvent(
        captureUsual,
        { runId, source },
        { runId, plan, source, pointId, why, at },
        { key: `${pointId}.${source}.usual` },
      );
  };

  const held = known.alarm?.held;
  if (
    held !== undefined &&
    !(await watch.repository.holdsOn(held.pointId)).some(({ holdId }) => holdId === held.holdId)
  ) {
    await usualAgain("the hold was released: what the source is now counts as usual");
    await keep({ points: [pointId] });
    return;
  }

  const read = async (ids: readonly string[]) =>
    (await Promise.all(ids.map((id) => watch.repository.point(id)))).filter((each) => each !== undefined);
  const earlier = await read(known.points);
  // What was shipped up to the one that was unlike them is no part of what is new now.
  const since = await read(known.last === undefined ? [] : [known.last]);
  const findings = new Map<PointSource, Finding[]>();
  for (const source of point.sources) {
    const sizes = await sizedSources(watch.repository, [...earlier, ...since, point], source.source);
    const now = sizes.get(pointId);
    const before = earlier.flatMap((each) => sizes.get(each.pointId) ?? []);
    const found = now === undefined ? [] : findAnomalies(now, before);
    if (found.length > 0) findings.set(source, found);
  }
  if (findings.size === 0) {
    await usualAgain("the source is as it was");
    await keep({ points: [...known.points, pointId].slice(-POINTS_COMPARED) });
    return;
  }
  const alarm = known.alarm?.held === undefined ? await holdLastGood(watch, point) : known.alarm;
  for (const [{ source, kind }, found] of findings)
    await watch.bus.publishEvent(
      captureAnomaly,
      { runId, source },
      {
        runId,
        plan,
        source,
        kind,
        pointId,
        findings: found.slice(0, FINDINGS_TOLD),
        findingCount: found.length,
        ...(alarm?.held === undefined ? {} : { held: alarm.held }),
        at,
      },
      { key: `${pointId}.${source}.anomaly` },
    );
  const sources = [...findings.keys()].map(({ source }) => source);
  const all = [...new Set([...(known.alarm?.sources ?? []), ...sources])];
  await keep({ points: known.points, last: pointId, alarm: { ...alarm, sources: all } });
}
