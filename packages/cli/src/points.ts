import { queryPoint, queryPoints } from "@stillpoint/contracts/queries";
import { bytes, span, table } from "./figures.ts";
import { reachBus } from "./reach.ts";
import { describePoint, describeProof } from "./report.ts";
import type { World } from "./world.ts";

const REQUEST = { timeoutMs: 10_000 };

export async function listPoints(
  world: World,
  options: { plan?: string; limit: string; json?: boolean },
): Promise<void> {
  await using bus = await reachBus(world);
  const asked = { limit: Number(options.limit), ...(options.plan === undefined ? {} : { plan: options.plan }) };
  const { points, next } = await bus.request(queryPoints, {}, asked, REQUEST);
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
