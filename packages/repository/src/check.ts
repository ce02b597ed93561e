import { StillpointError } from "@stillpoint/contracts/errors";
import { getDocument, listIds } from "./documents-store.ts";
import { manifest, sealedPoint } from "./format/documents.ts";
import { objectName, packIdOf, packName } from "./format/kinds.ts";
import { openPackTrailer } from "./format/pack-format.ts";
import { chunksOf } from "./format/tree-format.ts";
import { listProofs } from "./points.ts";
import { readChunks } from "./read/chunk-reader.ts";
import { readTree } from "./read/read-tree.ts";
import type { RepositoryContext } from "./repository-context.ts";

export type CheckOptions = {
  /** Read every pack whole and open every chunk; else only what is listed is compared. */
  readData?: boolean;
  signal?: AbortSignal | undefined;
};
/** One thing that is not as it must be. `backups` are those it hurts, as far as that is known. */
export type Problem = { object: string; why: string; backups: string[] };
export type CheckReport = {
  problems: Problem[];
  packs: number;
  chunks: number;
  backups: number;
  points: number;
  /** Bytes that were read to the last, with readData. */
  readBytes: number;
  /** Packs that no index lists: left behind by a backup that broke off. No problem. */
  unlistedPacks: number;
};

/** What a thrown damage says, for the report; anything else is a failure of the check itself. */
function toProblem(error: unknown, object: string): Problem {
  if (error instanceof StillpointError && ["OBJECT_DAMAGED", "OBJECT_MISSING", "BACKUP_UNKNOWN"].includes(error.code))
    return {
      object: error.code === "OBJECT_DAMAGED" ? (error.where ?? object) : object,
      why: error.why ?? error.what,
      backups: [],
    };
  throw error;
}

async function readPack(context: RepositoryContext, object: string, signal?: AbortSignal): Promise<number> {
  const bytes = await context.store.get(object, undefined, signal);
  const { entries } = openPackTrailer(object, bytes, context.ring.epochs);
  const packId = packIdOf(object);
  const epoch = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).readUInt32BE(8);
  const chunks = entries.map(({ name, type, offset, length }, position) => ({
    name,
    location: { packId, epoch, position, offset, length, type },
  }));
  const held = { ...context, store: { ...context.store, get: async () => bytes.slice() } };
  if (chunks.length > 0) await readChunks(held, { packId, offset: 0, length: bytes.length, chunks }, signal);
  return bytes.length;
}

/** Looks at everything, goes on after what it finds, and changes nothing. */
export async function checkRepository(
  context: RepositoryContext,
  { readData = false, signal }: CheckOptions = {},
): Promise<CheckReport> {
  const { store, index, loader } = context;
  const report: CheckReport = {
    problems: [],
    packs: 0,
    chunks: 0,
    backups: 0,
    points: 0,
    readBytes: 0,
    unlistedPacks: 0,
  };
  await loader.load(signal);
  report.chunks = index.chunks;

  const hurt = new Map<string, Problem>();
  const found = new Set<string>();
  const blame = (problem: Problem) => {
    report.problems.push(problem);
    hurt.set(problem.object, problem);
  };
  for (const [object, { why = "it does not open" }] of loader.damaged) blame({ object, why, backups: [] });
  for await (const { name, size } of store.list("packs/", { signal })) {
    const packId = packIdOf(name);
    const listed = index.packLength(packId);
    report.packs++;
    found.add(packId);
    if (listed === undefined) report.unlistedPacks++;
    else if (listed !== size)
      blame({ object: name, why: `it is ${size} bytes long instead of ${listed}`, backups: [] });
    else if (readData)
      try {
        report.readBytes += await readPack(context, name, signal);
      } catch (error) {
        blame(toProblem(error, name));
      }
  }
  for (const packId of index.packIds())
    if (!found.has(packId)) blame({ object: packName(packId), why: "the object is missing", backups: [] });

  for await (const backupId of listIds(context, "backups", { signal })) {
    report.backups++;
    const object = objectName("backups", backupId);
    const missing = new Set<string>();
    try {
      const opened = await getDocument(context, "backups", backupId, manifest, signal);
      if (opened === undefined) continue;
      const touch = (name: Uint8Array) => {
        const location = index.locate(name);
        if (location === undefined) missing.add(Buffer.from(name).toString("hex"));
        const problem = location && hurt.get(packName(location.packId));
        if (problem !== undefined && !problem.backups.includes(backupId)) problem.backups.push(backupId);
      };
      for (const name of opened.document.tree) touch(Buffer.from(name, "hex"));
      for await (const item of readTree(context, backupId, opened.document, signal))
        for (const chunk of chunksOf(item)) touch(chunk);
    } catch (error) {
      const problem = { ...toProblem(error, object), backups: [backupId] };
      const known = hurt.get(problem.object);
      if (known === undefined) blame(problem);
      else if (!known.backups.includes(backupId)) known.backups.push(backupId);
    }
    if (missing.size > 0)
      report.problems.push({ object, why: `${missing.size} of its chunks are in no index`, backups: [backupId] });
  }

  for await (const pointId of listIds(context, "points", { signal })) {
    report.points++;
    const object = objectName("points", pointId);
    try {
      const point = await getDocument(context, "points", pointId, sealedPoint, signal);
      for (const { backupId, sha256 } of point?.document.manifests ?? []) {
        const backup = await getDocument(context, "backups", backupId, manifest, signal);
        const why =
          backup === undefined ? "is missing" : backup.sha256 === sha256 ? undefined : "is not the one that was sealed";
        if (why !== undefined)
          report.problems.push({ object, why: `its backup ${backupId} ${why}`, backups: [backupId] });
      }
    } catch (error) {
      blame(toProblem(error, object));
    }
    try {
      for await (const proof of listProofs(context, { pointId, signal })) void proof;
    } catch (error) {
      blame(toProblem(error, object));
    }
  }
  return report;
}
