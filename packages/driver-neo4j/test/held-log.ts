import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { LogPosition, LogRange } from "@stillpoint/contracts/log";
import { directoryTree } from "@stillpoint/driver/directory-tree";
import type { LogSink } from "@stillpoint/driver/ship";
import { joinShippedSystemLog, layTail } from "../src/lay-log.ts";
import { logDirectory } from "../src/store-capture.ts";

export type HeldGap = Parameters<LogSink["gap"]>[0];

/** A sink that keeps what it is given as a restore would lay it out, and knows up to where it has no hole. */
export function heldLog(directory: string, database: string) {
  const tree = directoryTree(directory);
  const given = new Map<LogRange, Buffer>();
  const held = {
    closed: [] as LogRange[],
    tails: [] as LogRange[],
    gaps: [] as HeldGap[],
    /** What a shipper would be started with again. */
    newest: undefined as LogPosition | undefined,
    /** Holes that nobody was told of. */
    holes: [] as string[],
    sink: {} as LogSink,
    /** A tail as it was given. */
    bytesOf: (range: LogRange) => given.get(range) ?? Buffer.alloc(0),
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
      await mkdir(join(directory, logDirectory("data", "system")), { recursive: true });
      await write({ add: tree.add, covers: async () => undefined });
      await joinShippedSystemLog(directory);
      take(range, "closed");
    },
    async tail(range, bytes) {
      await layTail(directory, database, range, bytes);
      given.set(range, Buffer.from(bytes));
      take(range, "tails");
    },
    async gap(gap) {
      held.gaps.push(gap);
    },
  };
  return held;
}
