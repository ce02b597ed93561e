import { getDocument, listIds } from "../documents-store.ts";
import { type Manifest, manifest } from "../format/documents.ts";
import { objectName, packIdOf, packName } from "../format/kinds.ts";
import { chunksOf, decodeTreeItems } from "../format/tree-format.ts";
import { packUse } from "../garbage/pack-use.ts";
import type { ChunkLocation } from "../index/chunk-index.ts";
import { type Request, readAhead } from "../read/read-ahead.ts";
import type { Fallback } from "../replicas/other-copies.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { judgePacks } from "./check-packs.ts";
import { readPacks } from "./read-packs.ts";
import { readTwice } from "./read-twice.ts";
import type { CheckProgress, Findings } from "./report.ts";

type Options = { signal?: AbortSignal | undefined; tell: (progress: CheckProgress) => void };
/** SHA-256 of each manifest that opened, by the backup's id. */
export type Manifests = Map<string, string>;

/**
 * Follows every backup down to the places of its chunks: its tree is read, its data is not. A piece of a tree that backups
 * share is read once, unless something below it is wrong.
 */
export async function checkBackups(
  context: RepositoryContext,
  found: Findings,
  { signal, tell }: Options,
): Promise<Manifests> {
  const { index, loader } = context;
  const sound = packUse();
  const manifests: Manifests = new Map();
  const lacking = new Map<string, number>();
  /** Packs that another had to stand in for: they are read for themselves. */
  const suspects = new Set<string>();
  const listening = { ...context, fellBack: ({ object }: Fallback) => void suspects.add(packIdOf(object)) };
  const isBlamed = ({ packId }: ChunkLocation) => found.problems.has(packName(packId));

  async function follow(backupId: string, document: Manifest): Promise<{ missing: Set<string>; packs: Set<string> }> {
    const where = objectName("backups", backupId);
    const missing = new Set<string>();
    const packs = new Set<string>();
    let isFresh = false;
    /** False where the chunk, or its pack, is not as it must be. */
    const touch = async (name: Uint8Array): Promise<ChunkLocation | undefined> => {
      let location = index.locate(name);
      if (location === undefined && !isFresh) {
        // Its writer may have listed it since the index was read.
        isFresh = true;
        await loader.load(signal);
        location = index.locate(name);
      }
      if (location === undefined) missing.add(Buffer.from(name).toString("hex"));
      else if (isBlamed(location) && index.places(name).every(isBlamed)) packs.add(packName(location.packId));
      return location;
    };
    const pieces = async function* (): AsyncGenerator<Request<ChunkLocation>> {
      for (const hex of document.tree) {
        const chunk = Buffer.from(hex, "hex");
        const location = await touch(chunk);
        if (location !== undefined && !sound.uses(location.packId, location.position)) yield { chunk, what: location };
      }
    };
    for await (const { what, bytes } of readAhead(listening, where, pieces(), { signal })) {
      if (bytes === undefined) continue;
      const before = missing.size + packs.size;
      for (const item of decodeTreeItems(where, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)))
        for (const name of chunksOf(item)) await touch(name);
      if (missing.size + packs.size === before) sound.add(what);
    }
    return { missing, packs };
  }

  let done = 0;
  for await (const backupId of listIds(context, "backups", { signal })) {
    const object = objectName("backups", backupId);
    const opened = await readTwice(found, object, () => getDocument(context, "backups", backupId, manifest, signal));
    tell({ step: "backups", done: ++done, bytes: 0 });
    if ("damaged" in opened) found.blame(opened.damaged, backupId);
    if (!("result" in opened) || opened.result === undefined) continue;
    const { document, sha256 } = opened.result;
    manifests.set(backupId, sha256);
    const followed = await readTwice(found, object, () => follow(backupId, document));
    if ("damaged" in followed) found.blame(followed.damaged, backupId);
    if (!("result" in followed)) continue;
    const { missing, packs } = followed.result;
    for (const pack of packs) found.blame({ object: pack, why: "" }, backupId);
    // An index object that does not open is why: nobody can tell which of them listed the chunk.
    if (missing.size > 0 && loader.damaged.size > 0)
      for (const [object, { why = "it does not open" }] of loader.damaged) found.blame({ object, why }, backupId);
    else if (missing.size > 0) lacking.set(backupId, missing.size);
  }
  const { gone } = await readPacks(context, found, suspects, { signal, tell: () => undefined });
  await judgePacks(context, found, gone, signal);
  await judgeLacking(context, found, lacking, signal);
  return manifests;
}

/** A backup that was deleted meanwhile, or is about to be, has no need of its chunks. */
async function judgeLacking(
  context: RepositoryContext,
  found: Findings,
  lacking: ReadonlyMap<string, number>,
  signal?: AbortSignal,
): Promise<void> {
  if (lacking.size === 0) return;
  const going = (await context.condemned.load(signal)).objects;
  for (const [backupId, count] of lacking) {
    const object = objectName("backups", backupId);
    if (going.has(object) || (await context.store.head(object, signal)) === undefined) continue;
    found.blame({ object, why: `${count} of its chunks are in no index` }, backupId);
  }
}
