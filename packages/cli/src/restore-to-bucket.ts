import { tmpdir } from "node:os";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import { claimDirectory } from "@stillpoint/driver/sandbox-record";
import {
  assertEmptyBucket,
  type BucketTarget,
  planBucket,
  restoreBucket,
} from "@stillpoint/driver-files/bucket/restore-bucket";
import { bucketMarkDetail } from "@stillpoint/driver-files/mark-detail";
import { agentsFor, closeAgents } from "@stillpoint/object-store/network";
import { s3Client } from "@stillpoint/object-store/s3-client";
import { s3CredentialsOf } from "@stillpoint/object-store/store-credentials";
import { parseStoreUrl } from "@stillpoint/object-store/store-url";
import { openWorkDirectory } from "./export/export-source.ts";
import { bytes, rate, span } from "./figures.ts";
import { chosen, openReader, type RestoreOptions } from "./restore.ts";
import { stillAlive } from "./still-alive.ts";
import { coldShown, thawFirst } from "./thaw-first.ts";
import type { World } from "./world.ts";

const ATTEMPTS = 6;

/** Puts the objects of a captured bucket back into one, straight from the repository: no disk holds them in between. */
export async function restoreToBucket(
  world: World,
  pointId: string | undefined,
  options: RestoreOptions,
): Promise<void> {
  if (options.path !== undefined) {
    throw new StillpointError("INVALID_REQUEST", {
      what: "Cannot restore a path into a bucket",
      where: "--path",
      hint: "restore it into a directory, or the whole source into another prefix",
    });
  }
  await using opened = new AsyncDisposableStack();
  const target = bucketTarget(world, options.to, opened);
  const reader = opened.use(await openReader(world, options));
  const point = await reader.find(pointId, options.plan);
  const [source, ...others] = chosen(point, options);
  if (source === undefined || others.length > 0) {
    throw new StillpointError("INVALID_REQUEST", {
      what: "A bucket takes one source",
      where: "--source",
      why: `the point holds ${point.sources.map((each) => each.source).join(", ")}`,
    });
  }
  const captured = bucketMarkDetail.safeParse(source.mark.detail);
  if (!captured.success) {
    throw new StillpointError("INVALID_REQUEST", {
      what: "Cannot restore into a bucket",
      where: source.source,
      why: "the source was not captured from one",
      hint: "restore it into a directory",
    });
  }
  if (!options.over) await assertEmptyBucket(target, world.signal);
  const work = await openWorkDirectory(join(tmpdir(), `stillpoint-restore-${process.getuid?.() ?? 0}`));
  const home = opened.use(await claimDirectory(work, "restore"));
  const read = reader.tar;
  using plan = await planBucket(source.backups, read, home.path);
  const { objects, older } = plan;
  world.errorLine(
    `point ${point.pointId} of ${point.cut.at} (${point.cut.consistency}${point.partial ? ", PARTIAL" : ""})`,
  );
  const to = `s3://${target.bucket}/${target.prefix}`;
  world.errorLine(`  ${source.source} (${objects} objects, ${bytes(plan.bytes)}) → ${to}`);
  if (older > 0)
    world.errorLine(`  ! ${older} noncurrent versions and deletions come back into a directory only, and not here`);
  const cold = await reader.cold?.(source.backups);
  if (cold !== undefined && cold.cold.length > 0) world.errorLine(`  ${coldShown(cold)}`);
  const result = { point: point.pointId, source: source.source, to, objects, bytes: plan.bytes, older };
  if (options.dryRun) {
    world.out(
      options.json
        ? `${JSON.stringify(result)}\n`
        : `would write ${objects} objects, ${bytes(plan.bytes)}; nothing was written\n`,
    );
    return;
  }
  if (cold !== undefined && cold.cold.length > 0) await thawFirst(world, reader, cold, options.thaw);
  const startedMs = world.clock.monotonicMs();
  let sent = 0;
  const progress = (more: number) => {
    sent += more;
  };
  const { signal } = world;
  const sourcePrefix = captured.data.bucket.prefix;
  await stillAlive(
    world,
    () => `${source.source}: ${bytes(sent)}`,
    () => restoreBucket(source.backups, plan, { read, target, sourcePrefix, signal, progress }),
  );
  const ms = world.clock.monotonicMs() - startedMs;
  world.errorLine(`  ✓ ${source.source}: ${bytes(plan.bytes)} in ${span(ms)}, ${rate(plan.bytes, ms)}`);
  world.out(
    options.json
      ? `${JSON.stringify({ ...result, ms }, undefined, 2)}\n`
      : `restored ${objects} objects, ${bytes(plan.bytes)}, into ${to}\n`,
  );
}

function bucketTarget(world: World, url: string, opened: AsyncDisposableStack): BucketTarget {
  const place = parseStoreUrl(url);
  if (place.kind !== "s3") throw new StillpointError("INVALID_REQUEST", { what: "Not a bucket of S3", where: url });
  const { bucket, prefix, parameters } = place;
  const agents = agentsFor();
  const region = parameters.region ?? world.environment.AWS_REGION ?? "us-east-1";
  const credentials = s3CredentialsOf(world.environment);
  const s3 = s3Client({ region, endpoint: parameters.endpoint, attempts: ATTEMPTS, ...credentials }, agents);
  opened.defer(() => {
    s3.destroy();
    closeAgents(agents);
  });
  return { s3, bucket, prefix };
}
