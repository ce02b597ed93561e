import { objectDamaged } from "../format/damage.ts";
import type { Manifest } from "../format/documents.ts";
import { objectName, packName } from "../format/kinds.ts";
import { openManifest, readTree } from "../read/read-tree.ts";
import type { RepositoryContext } from "../repository-context.ts";

const ASKED_AT_ONCE = 16;

/** The names of all chunks of a backup: those of its tree, and those that its tree names. A name may come again. */
export async function* chunksOf(
  context: RepositoryContext,
  backupId: string,
  document: Manifest,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for (const name of document.tree) yield Buffer.from(name, "hex");
  for await (const item of readTree(context, backupId, document, signal))
    if (item.item === "blocks") for (const block of item.blocks) for (const { chunk } of block) yield chunk;
}

/** The packs that a backup's chunks lie in. OBJECT_DAMAGED where a chunk of it is in no index. */
export async function packsOf(
  context: RepositoryContext,
  backupId: string,
  signal?: AbortSignal,
): Promise<Set<string>> {
  const { document } = await openManifest(context, backupId, signal);
  const packs = new Set<string>();
  for await (const name of chunksOf(context, backupId, document, signal)) {
    const location = context.index.locate(name);
    if (location === undefined)
      throw objectDamaged(
        objectName("backups", backupId),
        `its chunk ${Buffer.from(name).toString("hex")} is in no index`,
      );
    packs.add(location.packId);
  }
  return packs;
}

/** OBJECT_DAMAGED, naming the first pack that is not there or not as long as the index says. */
export async function assertPacksThere(
  { store, index }: Pick<RepositoryContext, "store" | "index">,
  packs: Iterable<string>,
  signal?: AbortSignal,
): Promise<void> {
  const all = [...packs];
  for (let at = 0; at < all.length; at += ASKED_AT_ONCE)
    await Promise.all(
      all.slice(at, at + ASKED_AT_ONCE).map(async (packId) => {
        const name = packName(packId);
        const found = await store.head(name, signal);
        if (found === undefined) throw objectDamaged(name, "the object is missing");
        const length = index.packLength(packId) ?? found.size;
        if (found.size !== length) throw objectDamaged(name, `it is ${found.size} bytes long instead of ${length}`);
      }),
    );
}
