import type { ChunkHint } from "@stillpoint/driver/tree";

/** A relation's files: its number, a fork, a segment; in the directory of a database, of the cluster, of a tablespace. */
const RELATION = /^(?:base\/\d+|global|pg_tblspc\/\d+\/PG_[^/]+\/\d+)\/(?:t\d+_)?\d+(?:_(?:fsm|vm|init))?(?:\.\d+)?$/;

/** Files of pages that change in place are chunked by page, so that a changed page costs that page alone. */
export function hintOf(path: string, blockBytes: number): ChunkHint {
  return RELATION.test(path) ? `page:${blockBytes}` : "content";
}
