import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { LogPosition, LogRange } from "@stillpoint/contracts/log";
import { directoryTree } from "@stillpoint/driver/directory-tree";
import type { LogSink } from "@stillpoint/driver/ship";

export type Piece = { kind: "closed" | "tail"; range: LogRange; path: string };
export type Gap = Parameters<LogSink["gap"]>[0];

/** What a sink holds lies in a directory, a name for each piece, so that another process can go on from it. */
export function directorySink(directory: string): LogSink {
  const nameOf = (kind: Piece["kind"], { stream, from, to, after }: LogRange) =>
    [kind, stream, from, to, ...(after === undefined ? [] : [after.stream, after.at])].join("-");
  return {
    async closed(range, write) {
      const making = join(directory, `making-${range.stream}-${range.from}`);
      await mkdir(making, { recursive: true });
      const tree = directoryTree(making);
      await write(tree);
      await tree.finish();
      await rename(making, join(directory, nameOf("closed", range)));
    },
    async tail(range, bytes) {
      const making = join(directory, "making-tail");
      await writeFile(making, bytes);
      await rename(making, join(directory, nameOf("tail", range)));
    },
    async gap(gap) {
      const { length } = await gapsIn(directory);
      // Whole or not there, as the pieces are: it is looked for while it is written.
      const making = join(directory, "making-gap");
      await writeFile(making, JSON.stringify(gap));
      await rename(making, join(directory, `gap-${length}`));
    },
  };
}

export async function piecesIn(directory: string): Promise<Piece[]> {
  const pieces = (await readdir(directory)).flatMap((name): Piece[] => {
    const [kind, stream = "", from = "", to = "", afterStream, afterAt = ""] = name.split("-");
    if (kind !== "closed" && kind !== "tail") return [];
    const after = afterStream === undefined ? {} : { after: { stream: afterStream, at: afterAt } };
    return [{ kind, range: { stream, from, to, ...after }, path: join(directory, name) }];
  });
  const order = ({ range: { stream, from, to } }: Piece) => `${stream}${from}${to}`;
  return pieces.sort((a, b) => (order(a) < order(b) ? -1 : 1));
}

export async function gapsIn(directory: string): Promise<Gap[]> {
  const names = (await readdir(directory)).filter((name) => name.startsWith("gap-")).sort();
  return await Promise.all(names.map(async (name) => JSON.parse(await readFile(join(directory, name), "utf8"))));
}

/** Up to where the pieces hold the log, from the first of the last stretch on; a hole before it is thrown. */
export async function heldIn(directory: string): Promise<LogPosition | undefined> {
  const [pieces, gaps] = [await piecesIn(directory), await gapsIn(directory)];
  let held: LogPosition | undefined;
  for (const { range } of pieces) {
    const begins = gaps.some(({ until }) => until?.stream === range.stream && until.at === range.from);
    const follows =
      held === undefined ||
      begins ||
      (held.stream === range.stream
        ? range.from <= held.at
        : range.after?.stream === held.stream && range.after.at <= held.at && range.from <= range.after.at);
    if (!follows) throw new Error(`there is a hole between ${JSON.stringify(held)} and ${JSON.stringify(range)}`);
    if (held?.stream !== range.stream || range.to > held.at) held = { stream: range.stream, at: range.to };
  }
  return held;
}
