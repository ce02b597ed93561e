import type { Stats } from "node:fs";
import type { ChunkHint, TreeEntry } from "@stillpoint/driver/tree";

export type FileEntryParts = { path: string; stats: Stats; size?: number; offset?: number; hint: ChunkHint };

export function fileEntry({ path, stats, size = stats.size, offset = 0, hint }: FileEntryParts): TreeEntry {
  return {
    type: "file",
    path,
    mode: stats.mode & 0o7777,
    uid: stats.uid,
    gid: stats.gid,
    mtimeMs: stats.mtimeMs,
    size,
    hint,
    ...(offset === 0 ? {} : { offset }),
  };
}
