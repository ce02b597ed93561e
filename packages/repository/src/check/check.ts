import { packIdOf, packName } from "../format/kinds.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { checkBackups } from "./check-backups.ts";
import { checkObjects } from "./check-objects.ts";
import { comparePacks, judgePacks } from "./check-packs.ts";
import { checkPoints } from "./check-points.ts";
import { packsFrom, readPacks } from "./read-packs.ts";
import { type CheckProgress, type CheckReport, findings } from "./report.ts";
import { endRound, isInPart, readRound, writeRound } from "./round.ts";

export type CheckOptions = {
  /**
   * Packs to read whole, every chunk opened: all, or of `parts` the one that was read longest ago: all of them within so
   * many checks, on whatever machines. Absent: only what is listed is compared.
   */
  readData?: boolean | { parts: number };
  onProgress?: ((progress: CheckProgress) => void) | undefined;
  signal?: AbortSignal | undefined;
};

type Selected = { packIds: string[]; remember?: (damaged: string[]) => Promise<void> };

/** The part of the packs whose turn it is, and what is to be remembered once it was read. */
async function selectPart(
  context: RepositoryContext,
  parts: number,
  packs: number,
  signal?: AbortSignal,
): Promise<Selected> {
  const begun = await readRound(context, signal);
  const least = Math.ceil(packs / parts);
  const packIds: string[] = [];
  let state = begun;
  for await (const { packId, wrapped } of packsFrom(context, begun.cursor, signal)) {
    // As many as an even share, and at least to where this part of all ids ends: so all are read within so many runs.
    if (packIds.length >= least && !isInPart(packId, begun.cursor, parts)) break;
    if (wrapped && state.before === begun.before) state = endRound(state, await context.store.now(signal));
    packIds.push(packId);
    state = { ...state, cursor: packId };
  }
  const wasDamaged = begun.damaged.filter((object) => object.startsWith("packs/")).map(packIdOf);
  return {
    packIds: [...new Set([...wasDamaged, ...packIds])],
    remember: (damaged) => writeRound(context, { ...state, damaged }),
  };
}

async function select(
  context: RepositoryContext,
  readData: CheckOptions["readData"],
  packs: number,
  signal?: AbortSignal,
): Promise<Selected> {
  if (readData === undefined || readData === false) return { packIds: [] };
  if (readData === true) return { packIds: [...context.index.packIds()] };
  return selectPart(context, readData.parts, packs, signal);
}

/**
 * Looks at everything and goes on after what it finds. Writers and a collector may be at work meanwhile: what they add or
 * delete is no damage. Nothing is changed; only what part of the data was read is remembered.
 */
export async function checkRepository(
  context: RepositoryContext,
  { readData, onProgress, signal }: CheckOptions = {},
): Promise<CheckReport> {
  const found = findings(context);
  const tell = onProgress ?? (() => undefined);
  const options = { signal, tell };
  const report = { packs: 0, unlistedPacks: 0 };
  await context.loader.load(signal);
  await checkObjects(context, found, options);
  for (const [object, { why = "it does not open" }] of context.loader.damaged) found.blame({ object, why });
  const suspects = await comparePacks(context, report, options);
  await judgePacks(context, found, suspects, signal);
  const { packIds, remember } = await select(context, readData, report.packs, signal);
  // Blamed already: it need not be read to be known as damaged.
  const toRead = packIds.filter((packId) => !found.problems.has(packName(packId)));
  const total = toRead.length;
  const reads = await readPacks(context, found, toRead, {
    signal,
    tell: ({ packs, bytes }) => tell({ step: "data", done: packs, total, bytes }),
  });
  await judgePacks(context, found, reads.gone, signal);
  const manifests = await checkBackups(context, found, options);
  const points = await checkPoints(context, found, manifests, options);
  const problems = [...found.problems.values()];
  await remember?.(problems.map(({ object }) => object).filter((object) => object.startsWith("packs/")));
  return {
    problems,
    transient: found.transient,
    ...report,
    chunks: context.index.chunks,
    backups: manifests.size,
    points,
    readPacks: reads.packs,
    readBytes: reads.bytes,
  };
}
