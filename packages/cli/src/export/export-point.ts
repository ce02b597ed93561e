import { StillpointError } from "@stillpoint/contracts/errors";
import type { Point, PointSource } from "@stillpoint/contracts/point";
import { bytes, rate, span } from "../figures.ts";
import type { KeyOptions } from "../key/key-options.ts";
import { repositoryReader, vaultReader } from "../point-reader.ts";
import { coldShown, thawFirst } from "../thaw-first.ts";
import type { World } from "../world.ts";
import { openLedger, readLedger } from "./export-ledger.ts";
import { sourceOf } from "./export-manifest.ts";
import { exportManifestName, exportStem } from "./export-names.ts";
import type { ExportPlace } from "./export-place.ts";
import { exportSource, openWorkDirectory, type SourceFigures } from "./export-source.ts";
import { exportTools, whatIsMissing } from "./export-tools.ts";
import { openExportPlace } from "./open-place.ts";

export type ExportOptions = KeyOptions & {
  to: string;
  plan?: string;
  /** None: all of the point's. */
  source: string[];
  repository?: string;
  work?: string;
  /** SQLite databases as SQL too. */
  sql: boolean;
  /** Without these tables. */
  withoutTable: string[];
  dryRun: boolean;
  thaw: boolean;
  json?: boolean;
};

type Outcome = { source: string; kind: string } & (SourceFigures | { missing: StillpointError });

export async function exportPoint(world: World, pointId: string | undefined, options: ExportOptions): Promise<void> {
  await using reader = await (options.repository === undefined
    ? vaultReader(world)
    : repositoryReader(world, options.repository, options));
  const point = await reader.find(pointId, options.plan);
  const sources = chosen(point, options.source);
  await using place = await openExportPlace(world, options.to, options.dryRun);
  const { cut, partial } = point;
  world.errorLine(`point ${point.pointId} of ${cut.at} (${cut.consistency}${partial ? ", PARTIAL" : ""})`);
  const cold = await reader.cold?.(sources.flatMap(({ backups }) => backups));
  if (cold !== undefined && cold.cold.length > 0) world.errorLine(`  ${coldShown(cold)}`);
  if (options.dryRun) return await tellPlan(world, point, sources, place, options);
  if (cold !== undefined && cold.cold.length > 0) await thawFirst(world, reader, cold, options.thaw);
  world.errorLine(`into ${place.url}, in the clear: guard it as you guard the stores`);
  const ledger = await openLedger(place, point);
  const workDirectory = await openWorkDirectory(options.work);
  const wishes = { sql: options.sql, withoutTables: options.withoutTable };
  const extract = reader.extract(false);
  const outcomes: Outcome[] = [];
  for (const source of sources) {
    const { source: name, kind } = source;
    // An export that did not have the SQL is whole, too.
    if (!(options.sql && kind === "sqlite") && (await ledger.isWhole(source))) {
      const kept = sourceOf(ledger.manifest(), name)?.files.length ?? 0;
      outcomes.push({ source: name, kind, written: 0, kept, bytes: 0 });
      world.errorLine(`  ✓ ${name}: ${files(kept)} there already, with their sums`);
      continue;
    }
    const tools = await exportTools(source, world.environment);
    const missing = whatIsMissing(source, tools);
    try {
      if (missing !== undefined) throw missing;
      const figures = await shown(world, name, (progress) =>
        exportSource(world, source, {
          point,
          place,
          ledger,
          extract,
          log: reader,
          tools,
          workDirectory,
          wishes,
          progress,
        }),
      );
      outcomes.push({ source: name, kind, ...figures });
    } catch (error) {
      // What is missing for one source does not keep the others from being exported; it is told at the end, too.
      if (!(error instanceof StillpointError) || error.code !== "STORE_NOT_INSTALLED") throw error;
      outcomes.push({ source: name, kind, missing: error });
      world.errorLine(`  ✗ ${name}: ${error.why}; ${error.hint}`);
    }
  }
  await ledger.seal();
  tellOutcome(world, outcomes, { manifest: ledger.manifestName, to: place.url, json: options.json === true, point });
}

function chosen(point: Point, names: readonly string[]): PointSource[] {
  const unknown = names.find((name) => !point.sources.some(({ source }) => source === name));
  if (unknown !== undefined)
    throw new StillpointError("NOT_FOUND", {
      what: "The point does not hold that source",
      where: unknown,
      why:
        point.skipped.find(({ source }) => source === unknown)?.reason ??
        `it holds ${point.sources.map(({ source }) => source).join(", ")}`,
    });
  return names.length === 0 ? point.sources : point.sources.filter(({ source }) => names.includes(source));
}

function files(count: number): string {
  return `${count} ${count === 1 ? "file" : "files"}`;
}

/** What would be written, how large, and what is missing for it. Reads the place, and writes nothing. */
async function tellPlan(
  world: World,
  point: Point,
  sources: readonly PointSource[],
  place: ExportPlace,
  options: ExportOptions,
): Promise<void> {
  const there = await readLedger(place, point);
  const rows = [];
  for (const source of sources) {
    const missing = whatIsMissing(source, await exportTools(source, world.environment));
    const isThere = (there && sourceOf(there, source.source))?.whole === true;
    const names = `${exportStem(point, source)}…`;
    rows.push({ source: source.source, kind: source.kind, files: names, bytes: source.bytes, isThere, missing });
    const state = isThere
      ? "there already"
      : missing === undefined
        ? `about ${bytes(source.bytes)}`
        : `✗ ${missing.why}`;
    world.errorLine(`  ${source.source} (${source.kind}) → ${names}: ${state}`);
  }
  const wanted = rows.filter(({ isThere, missing }) => !isThere && missing === undefined);
  const total = wanted.reduce((sum, each) => sum + each.bytes, 0);
  const work = 2 * Math.max(0, ...wanted.map((each) => each.bytes));
  world.errorLine(`  its manifest → ${exportManifestName(point)}`);
  world.out(
    options.json
      ? `${JSON.stringify({ point: point.pointId, to: place.url, bytes: total, workBytes: work, sources: rows.map(({ missing, ...row }) => ({ ...row, ...(missing === undefined ? {} : { missing: missing.toBody() }) })) }, undefined, 2)}\n`
      : `would write about ${bytes(total)}, by way of up to ${bytes(work)} in the work directory; nothing was written\n`,
  );
}

async function shown(
  world: World,
  name: string,
  work: (progress: (step: string, bytes: number) => void) => Promise<SourceFigures>,
): Promise<SourceFigures> {
  const startedMs = world.clock.monotonicMs();
  let [step, read, sinceMs] = ["", 0, startedMs];
  const alive = setInterval(() => {
    const line = `  ${name}: ${step}, ${bytes(read)} in ${span(world.clock.monotonicMs() - sinceMs)}`;
    if (world.isTerminal) world.error(`\r\u001b[2K${line}`.slice(0, world.columns));
  }, 1_000);
  try {
    const figures = await work((next, more) => {
      if (next !== step) {
        [step, read, sinceMs] = [next, 0, world.clock.monotonicMs()];
        if (!world.isTerminal) world.errorLine(`  ${name}: ${step}`);
      }
      read += more;
    });
    const ms = world.clock.monotonicMs() - startedMs;
    const { written, kept } = figures;
    world.errorLine(
      `${world.isTerminal ? "\r\u001b[2K" : ""}  ✓ ${name}: ${files(written)}, ${bytes(figures.bytes)} in ${span(ms)}, ${rate(figures.bytes, ms)}${kept === 0 ? "" : `; ${kept} there already`}`,
    );
    return figures;
  } finally {
    clearInterval(alive);
  }
}

function tellOutcome(
  world: World,
  outcomes: readonly Outcome[],
  { manifest, to, json, point }: { manifest: string; to: string; json: boolean; point: Point },
): void {
  const failed = outcomes.flatMap((each) => ("missing" in each ? [each] : []));
  const sources = outcomes.map((each) =>
    "missing" in each ? { source: each.source, kind: each.kind, error: each.missing.toBody() } : each,
  );
  world.out(
    json
      ? `${JSON.stringify({ point: point.pointId, to, manifest, sources }, undefined, 2)}\n`
      : `exported ${outcomes.length - failed.length} of ${point.sources.length} sources; ${manifest} says what is there\n`,
  );
  const [first] = failed;
  if (first === undefined) return;
  throw new StillpointError(failed.length === outcomes.length ? "STORE_NOT_INSTALLED" : "PARTIAL", {
    what: "Not every source could be exported",
    where: failed.map(({ source }) => source).join(", "),
    why: first.missing.why,
    hint: first.missing.hint,
  });
}
