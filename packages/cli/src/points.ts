import { StillpointError } from "@stillpoint/contracts/errors";
import type { Point } from "@stillpoint/contracts/point";
import { type PointSummary, queryPoint, queryPoints } from "@stillpoint/contracts/queries";
import { bytes, span, table } from "./figures.ts";
import type { KeyOptions } from "./key/key-options.ts";
import { openAllTargets, openForReading } from "./open-targets.ts";
import { reachBus } from "./reach.ts";
import { describePoint, describeProof } from "./report.ts";
import type { World } from "./world.ts";

const REQUEST = { timeoutMs: 10_000 };

export type PointsOptions = KeyOptions & { plan?: string; limit: string; repository?: string; json?: boolean };
type PointPage = { points: PointSummary[]; next?: string | undefined };

async function pointsOfSystem(world: World, { plan, limit }: PointsOptions): Promise<PointPage> {
  await using bus = await reachBus(world);
  const asked = { limit: Number(limit), ...(plan === undefined ? {} : { plan }) };
  return await bus.request(queryPoints, {}, asked, REQUEST);
}

/** Without any service: a bucket and a key are enough. */
async function pointsIn(world: World, where: string, { plan, limit, ...key }: PointsOptions): Promise<PointPage> {
  await using targets = await openAllTargets(world, where, key);
  await using repository = await openForReading(world, targets);
  const most = Number(limit);
  if (!Number.isInteger(most) || most < 1)
    throw new StillpointError("INVALID_REQUEST", {
      what: "Cannot list points",
      where: "--limit",
      why: "it is no count",
    });
  let newest: Point[] = [];
  let next: string | undefined;
  for await (const point of repository.points({ signal: world.signal })) {
    if (plan !== undefined && point.plan !== plan) continue;
    newest.push(point);
    if (newest.length < 2 * most + 1) continue;
    newest = newestFirst(newest).slice(0, most + 1);
  }
  newest = newestFirst(newest);
  if (newest.length > most) next = newest[most - 1]?.pointId;
  const points: PointSummary[] = [];
  for (const point of newest.slice(0, most)) {
    const proof = (await repository.proofsOf(point.pointId)).at(-1);
    points.push({
      point,
      verdict: proof?.verdict ?? "unproven",
      ...(proof === undefined ? {} : { rtoMs: proof.rtoMs }),
    });
  }
  return { points, next };
}

function newestFirst(points: readonly Point[]): Point[] {
  return points.toSorted((a, b) => (a.cut.at < b.cut.at ? 1 : -1));
}

export async function listPoints(world: World, options: PointsOptions): Promise<void> {
  const { repository } = options;
  const { points, next } =
    repository === undefined ? await pointsOfSystem(world, options) : await pointsIn(world, repository, options);
  if (options.json) {
    world.out(`${JSON.stringify({ points, next }, undefined, 2)}\n`);
    return;
  }
  const rows = points.map(({ point, verdict, rtoMs }) => [
    point.pointId,
    point.plan,
    point.cut.at,
    point.partial ? `${point.cut.consistency}, PARTIAL` : point.cut.consistency,
    verdict,
    rtoMs === undefined ? "–" : span(rtoMs),
    bytes(point.sources.reduce((sum, each) => sum + each.bytes, 0)),
    bytes(point.sources.reduce((sum, each) => sum + each.storedBytes, 0)),
  ]);
  world.out(`${table(["point", "plan", "cut", "consistency", "proof", "RTO", "read", "stored"], rows, [5, 6, 7])}\n`);
  if (next !== undefined) world.errorLine(`more: --limit ${Number(options.limit) * 2}`);
}

export async function showPoint(world: World, pointId: string, options: { json?: boolean }): Promise<void> {
  await using bus = await reachBus(world);
  const found = await bus.request(queryPoint, {}, { pointId }, REQUEST);
  if (options.json) {
    world.out(`${JSON.stringify(found, undefined, 2)}\n`);
    return;
  }
  const { point, proofs, backups } = found;
  const rows = backups.map((each) => [
    each.source,
    each.type,
    each.backupId,
    bytes(each.bytes),
    bytes(each.storedBytes),
    each.checksum.slice(0, 12),
  ]);
  world.out(
    `${describePoint(point)}\n\n${table(["source", "type", "backup", "read", "stored", "checksum"], rows, [3, 4])}\n`,
  );
  for (const proof of proofs) world.out(`\n  proven ${proof.finishedAt}:\n${describeProof(proof)}\n`);
  if (proofs.length === 0) world.out(`\n  unproven; prove it: npm run stillpoint -- validate ${pointId}\n`);
}
