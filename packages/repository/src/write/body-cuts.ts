import { CUT, type Cut } from "../chunking/cutter.ts";
import type { Chunking } from "../format/documents.ts";

/** What an entry without a body is: a place where a bundle may end. */
export const EMPTY = { cut: CUT.bundle, unit: 0 } as const;

/** How a body is to be cut by its hint: `page:8192`, `content`, `tar`. An unknown hint is content. */
export function cutOf(hint: string, size: number, chunking: Chunking): { cut: Cut; unit: number } {
  const page = Number(/^page:(\d{1,7})$/.exec(hint)?.[1] ?? 0);
  if (size < chunking.bundleBelow) return { cut: CUT.bundle, unit: 0 };
  if (page >= 512 && page <= chunking.pageBlock)
    return { cut: CUT.page, unit: chunking.pageBlock - (chunking.pageBlock % page) };
  return { cut: CUT.content, unit: 0 };
}
