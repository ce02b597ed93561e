import { StillpointError } from "@stillpoint/contracts/errors";
import { objectDamaged } from "../format/damage.ts";
import { objectName } from "../format/kinds.ts";
import { chunksOf, decodeTreeItems } from "../format/tree-format.ts";
import type { ChunkLocation } from "../index/chunk-index.ts";
import { type Request, readAhead } from "../read/read-ahead.ts";
import { openManifest } from "../read/read-tree.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { packUse } from "./pack-use.ts";

/**
 * What is reached so far: a bit for each chunk, and a number for each pack. A piece of a tree that backups share is read once,
 * so that a thousand points cost little more than what differs between them.
 */
export function reached(context: RepositoryContext) {
  const use = packUse();
  /** Pieces of trees whose chunks are all marked. */
  const read = packUse();

  function mark(name: Uint8Array, where: string): { location: ChunkLocation; isNew: boolean } {
    const location = context.index.locate(name);
    if (location === undefined)
      throw objectDamaged(where, `its chunk ${Buffer.from(name).toString("hex")} is in no index`);
    const isNew = use.add(location);
    return { location, isNew };
  }

  /** Marks all that a backup stands on; answers with the bytes that nothing before it needed. */
  async function walk(backupId: string, signal?: AbortSignal): Promise<number> {
    const where = objectName("backups", backupId);
    const { document } = await openManifest(context, backupId, signal);
    let fresh = 0;
    const take = (name: Uint8Array) => {
      const { location, isNew } = mark(name, where);
      if (isNew) fresh += location.length;
      return location;
    };
    const pieces = async function* (): AsyncGenerator<Request<ChunkLocation>> {
      for (const hex of document.tree) {
        const chunk = Buffer.from(hex, "hex");
        const location = take(chunk);
        if (!read.uses(location.packId, location.position)) yield { chunk, what: location };
      }
    };
    for await (const { what, bytes } of readAhead(context, where, pieces(), { signal })) {
      if (bytes === undefined) continue;
      const items = decodeTreeItems(where, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
      for (const item of items) for (const name of chunksOf(item)) take(name);
      // Only now: a backup that shares this piece must read it itself, should this one break off.
      read.add(what);
    }
    return fresh;
  }

  return {
    /**
     * `mustBeWhole`: damage is thrown, for nobody can tell what lies behind it. Else undefined is answered: what cannot be read
     * cannot be sealed either.
     */
    async walk(backupId: string, mustBeWhole: boolean, signal?: AbortSignal): Promise<number | undefined> {
      try {
        return await walk(backupId, signal);
      } catch (error) {
        if (mustBeWhole || !(error instanceof StillpointError)) throw error;
        if (error.code !== "OBJECT_DAMAGED" && error.code !== "BACKUP_UNKNOWN") throw error;
        return undefined;
      }
    },
    live: use.live,
    uses: use.uses,
    has: use.has,
    packIds: use.packIds,
    /** How many there are. */
    get packs() {
      return use.packs;
    },
  };
}
export type Reached = ReturnType<typeof reached>;
