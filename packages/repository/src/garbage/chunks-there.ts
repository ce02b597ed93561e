import { objectDamaged } from "../format/damage.ts";
import type { Manifest } from "../format/documents.ts";
import { packIdOf, packName } from "../format/kinds.ts";
import { chunksOf } from "../format/tree-format.ts";
import { readTree } from "../read/read-tree.ts";
import type { RepositoryContext } from "../repository-context.ts";

const ASKED_AT_ONCE = 16;
/** More are listed: a listing tells of a thousand at once. */
const MOST_ASKED = 512;

/** The names of all chunks of a backup: those of its tree, and those that its tree names. A name may come again. */
export async function* chunksOfBackup(
  context: RepositoryContext,
  backupId: string,
  document: Manifest,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for (const name of document.tree) yield Buffer.from(name, "hex");
  for await (const item of readTree(context, backupId, document, signal)) yield* chunksOf(item);
}

function assertLength(packId: string, size: number | undefined, length: number | undefined): void {
  const name = packName(packId);
  if (size === undefined) throw objectDamaged(name, "the object is missing");
  if (length !== undefined && size !== length)
    throw objectDamaged(name, `it is ${size} bytes long instead of ${length}`);
}

/** OBJECT_DAMAGED, naming a pack that is not there or not as long as the index says. */
export async function assertPacksThere(
  { store, index }: Pick<RepositoryContext, "store" | "index">,
  packs: Iterable<string>,
  signal?: AbortSignal,
): Promise<void> {
  const asked = new Set(packs);
  if (asked.size <= MOST_ASKED) {
    const all = [...asked];
    for (let at = 0; at < all.length; at += ASKED_AT_ONCE)
      await Promise.all(
        all.slice(at, at + ASKED_AT_ONCE).map(async (packId) => {
          assertLength(packId, (await store.head(packName(packId), signal))?.size, index.packLength(packId));
        }),
      );
    return;
  }
  for await (const { name, size } of store.list("packs/", { signal })) {
    const packId = packIdOf(name);
    if (asked.delete(packId)) assertLength(packId, size, index.packLength(packId));
  }
  for (const packId of asked) assertLength(packId, undefined, undefined);
}
