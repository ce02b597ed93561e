import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { BackupType } from "@stillpoint/contracts/names";
import type { Mark, Point, PointSource, Runtime } from "@stillpoint/contracts/point";
import type { TreeLayout } from "@stillpoint/driver/driver";
import type { Repository } from "@stillpoint/repository/repository";
import { addAll, type Item } from "./crafted-trees.ts";
import { type Paths, pathsIn, withoutWrittenTimes } from "./expected.ts";
import type { Subject } from "./subjects.ts";
import { extractAll, readFileStream, tarFile } from "./tar-file.ts";

export const goldenId = (n: number) => `018f0000-0000-7000-8000-${String(n).padStart(12, "0")}`;
export const GOLDEN_AT = "2026-01-02T03:04:05.678Z";

/** One source of a point: stored, and extracted without the repository, so that what is expected does not come out of it. */
export type StoredSource = { source: PointSource; paths: Paths };

export type Store = { repository: Repository; directory: string };
type Part = { type: BackupType; tar: string };

async function stored(
  { repository, directory }: Store,
  run: number,
  of: { name: string; kind: PointSource["kind"]; addresses: string[]; layout: TreeLayout },
  parts: readonly Part[],
  { mark, runtime, earlier = [] }: { mark: Mark; runtime: Runtime; earlier?: { id: string; tar: string }[] },
): Promise<StoredSource & { backups: { id: string; tar: string }[] }> {
  const backups = [...earlier];
  let [bytes, storedBytes] = [0, 0];
  for (const [i, { type, tar }] of parts.entries()) {
    const id = `${goldenId(run)}_${of.name}_${run}_${i === 0 ? "base" : "finish"}${i + 1}`;
    const head = { backupId: id, plan: "shop", source: of.name, kind: of.kind, type, runId: goldenId(run) };
    const figures = await repository.writeBackup({ ...head, startedAt: GOLDEN_AT }, readFileStream(tar));
    backups.push({ id, tar });
    bytes += figures.bytes;
    storedBytes += figures.storedBytes;
  }
  const at = join(directory, `${run}-${of.name}`);
  const tars = () => backups.map(({ tar }) => readFileStream(tar));
  await extractAll(tars(), `${at}-plain`);
  await extractAll(tars(), at, { layout: of.layout, mark });
  return {
    source: {
      source: of.name,
      kind: of.kind,
      site: "default",
      backups: backups.map(({ id }) => id),
      mark,
      runtime,
      addresses: of.addresses,
      bytes,
      storedBytes,
      ms: 1,
    },
    paths: withoutWrittenTimes(await pathsIn(`${at}-plain`), await pathsIn(at)),
    backups,
  };
}

/** A capture as the agent does it: base, writes, mark, finish. */
export async function captureSubject(store: Store, run: number, subject: Subject): Promise<StoredSource> {
  const at = join(store.directory, `${run}-${subject.name}-capture`);
  await mkdir(at, { mode: 0o700 });
  await using capture = await subject.open(at);
  const { description } = capture;
  const parts: Part[] = [];
  await subject.write(run * 2 - 1);
  if (description.base !== undefined)
    parts.push({ type: description.base, tar: await tarFile(`${at}.base.tar`, (tree) => capture.base(tree)) });
  await subject.write(run * 2);
  await capture.settle();
  const mark = await capture.mark({ cutId: goldenId(2_000 + run), budgetMs: 60_000, fenced: true });
  parts.push({ type: description.finish, tar: await tarFile(`${at}.finish.tar`, (tree) => capture.finish(tree)) });
  return await stored(store, run, subject, parts, { mark, runtime: description.runtime });
}

/** Trees that no server made: of kind files, whose layout is nothing. */
export async function craftedSource(
  store: Store,
  run: number,
  trees: readonly { type: BackupType; items: readonly Item[] }[],
  earlier: { id: string; tar: string }[] = [],
): Promise<StoredSource & { backups: { id: string; tar: string }[] }> {
  const parts: Part[] = [];
  for (const [i, { type, items }] of trees.entries())
    parts.push({
      type,
      tar: await tarFile(join(store.directory, `${run}-${i}.crafted.tar`), (tree) => addAll(tree, items)),
    });
  const mark: Mark = { cutId: goldenId(2_000 + run), position: `crafted ${run}`, detail: { files: 0 }, notes: [] };
  const runtime = { id: "files", version: "1", arch: "any", extensions: [], settings: {} };
  const of = { name: "crafted", kind: "files" as const, addresses: [], layout: () => [] };
  return await stored(store, run, of, parts, { mark, runtime, earlier });
}

export function pointOf(n: number, sources: readonly StoredSource[], partial = false): Point {
  return {
    pointId: goldenId(n),
    runId: goldenId(1_000 + n),
    plan: "shop",
    revision: "0".repeat(64),
    entries: ["daily"],
    cut: {
      cutId: goldenId(2_000 + n),
      mode: "fence",
      at: GOLDEN_AT,
      consistency: sources.some(({ source }) => source.mark.fuzzy !== undefined) ? "fuzzy" : "fenced",
      reasons: sources.flatMap(({ source }) => source.mark.fuzzy ?? []),
      windowMs: 12.5,
      skewMs: 3,
      offsetsMs: Object.fromEntries(sources.map(({ source }) => [source.source, 5])),
    },
    sources: sources.map(({ source }) => source),
    skipped: partial ? [{ source: "orders", reason: "it did not answer" }] : [],
    partial,
    startedAt: GOLDEN_AT,
    sealedAt: GOLDEN_AT,
  };
}
