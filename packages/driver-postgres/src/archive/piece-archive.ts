import { readFile } from "node:fs/promises";
import { type Replayed, refuseForeignPlaces } from "../foreign-places.ts";
import { layHistory, laySegment } from "./lay-file.ts";
import type { Archive } from "./serve-archive.ts";
import type { ServedLog } from "./served-log.ts";

/** The archive of one recovery: what it has is known before it begins. */
export function pieceArchive({ segments, histories }: ServedLog, segmentBytes: number, replayed: Replayed): Archive {
  const order = [...segments.keys()];
  const places = new Map(order.map((name, place) => [name, place]));
  return {
    has: async (name) => segments.has(name) || histories.has(name),
    after(name, count) {
      const place = places.get(name);
      return place === undefined ? [] : order.slice(place + 1, place + 1 + count);
    },
    async fetch(name, directory) {
      const segment = segments.get(name);
      if (segment !== undefined) {
        const path = await laySegment(segment, directory, segmentBytes);
        refuseForeignPlaces(await readFile(path), segment.start, replayed);
        return path;
      }
      const history = histories.get(name);
      if (history === undefined) throw new TypeError("unreachable: it was asked whether there is such a file");
      return await layHistory(history, directory);
    },
  };
}
