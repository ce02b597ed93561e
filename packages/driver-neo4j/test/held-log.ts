import { mkdir, open } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { LogPosition, LogRange } from "@stillpoint/contracts/log";
import { directoryTree } from "@stillpoint/driver/directory-tree";
import type { LogSink } from "@stillpoint/driver/ship";
import { tailPlace } from "../src/log-target.ts";

export type HeldGap = Parameters<LogSink["gap"]>[0];

/** A sink that keeps what it is given as a restore would lay it out, and knows up to where it has no hole. */
export function heldLog(directory: string, database: string) {
  const tree = directoryTree(directory);
  const held = {
    closed: [] as LogRange[],
    tails: [] as LogRange[],
    gaps: [] as HeldGap[],
    /** What a shipper would be started with again. */
    newest: undefined as LogPosition | undefined,
    /** Holes that nobody was told of. */
    holes: [] as string[],
    sink: {} as LogSink,
  };
  const take = (range: LogRange, kind: "closed" | "tails") => {
    const { newest } = held;
    const told = held.gaps.some(({ until, after }) => until?.at === range.from || after?.at === newest?.at);
    if (newest !== undefined && range.from > newest.at && !told) held.holes.push(`${newest.at} to ${range.from}`);
    held[kind].push(range);
    if (newest === undefined || range.stream !== newest.stream || range.to > newest.at) {
      held.newest = { stream: range.stream, at: range.to };
    }
  };
  held.sink = {
    async closed(range, write) {
      await write({ add: tree.add, covers: async () => undefined });
      take(range, "closed");
    },
    async tail(range, bytes) {
      const place = tailPlace(database, range);
      const path = join(directory, place.path);
      await mkdir(dirname(path), { recursive: true });
      await using file = await open(path, place.offset === 0 ? "w" : "r+");
      await file.write(bytes, 0, bytes.length, place.offset);
      take(range, "tails");
    },
    async gap(gap) {
      held.gaps.push(gap);
    },
  };
  return held;
}
