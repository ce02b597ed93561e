import { CUT, type Cut } from "../chunking/cutter.ts";
import { pagesType } from "../format/chunk-type.ts";
import type { Chunking } from "../format/documents.ts";
import type { PageCut } from "./page-file.ts";

/** How a body is cut by its hint: into pages, or as content, alone or bundled with its neighbours. */
export type BodyCut = { pages: PageCut } | { pages?: undefined; cut: Cut };

/** What an entry without a body is: a place where a bundle may end. */
export const EMPTY: BodyCut = { cut: CUT.bundle };

/**
 * `page:8192`, `content`, `tar`. An unknown hint, or a page that is no power of two, is content. A log (`isNew`) holds nothing that
 * was there before but at its own place: to look for boundaries in it would take the most of what its storing takes.
 */
export function cutOf(hint: string, size: number, chunking: Chunking, isNew: boolean): BodyCut {
  if (size < chunking.bundleBelow) return { cut: CUT.bundle };
  if (isNew) return { cut: CUT.fixed };
  const pageBytes = Number(/^page:(\d{1,7})$/.exec(hint)?.[1] ?? 0);
  const type = pagesType(pageBytes);
  if (type === undefined || pageBytes > chunking.pageBlock) return { cut: CUT.content };
  return { pages: { type, pageBytes, blockBytes: chunking.pageBlock - (chunking.pageBlock % pageBytes) } };
}
