import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { LogPosition, LogRange } from "@stillpoint/contracts/log";
import { flushAsks } from "@stillpoint/driver/flush-asks";
import type { LogSink, ShipOptions } from "@stillpoint/driver/ship";

type Gap = Parameters<LogSink["gap"]>[0];
type Kept = LogRange & { kind: "closed" | "tail"; path: string };

export type DirectorySink = LogSink & {
  kept(): Promise<Kept[]>;
  /** Up to where the log is here. */
  held(): Promise<LogPosition | undefined>;
  /** The files of the log, in order. */
  log(): Promise<string[]>;
  gaps(): Promise<Gap[]>;
};

/** Keeps what it is given in a directory, so that it outlives whoever ships into it. */
export async function directorySink(directory: string): Promise<DirectorySink> {
  await mkdir(directory, { recursive: true });
  const keep = async (name: string, bytes: Uint8Array) => {
    await writeFile(join(directory, `.${name}`), bytes);
    await rename(join(directory, `.${name}`), join(directory, name));
  };
  const nameOf = (kind: Kept["kind"], { stream, from, to }: LogRange) => `${from}-${to}-${stream}-${kind}`;
  const sink: DirectorySink = {
    async closed(range, write) {
      const files: Uint8Array[] = [];
      await write({
        async add(entry, body) {
          if (entry.type === "file" && body !== undefined) files.push(Buffer.concat(await Array.fromAsync(body)));
          return { torn: false };
        },
        async covers() {},
      });
      await keep(nameOf("closed", range), Buffer.concat(files));
    },
    async tail(range, bytes) {
      await keep(nameOf("tail", range), bytes);
    },
    async gap(gap) {
      await keep(`gap-${(await sink.gaps()).length}`, Buffer.from(JSON.stringify(gap)));
    },
    async kept() {
      const names = (await readdir(directory)).filter((name) => /^[0-9a-f]/.test(name)).sort();
      return names.map((name) => {
        const [from = "", to = "", stream = "", kind] = name.split("-");
        return { from, to, stream, kind: kind === "closed" ? "closed" : "tail", path: join(directory, name) };
      });
    },
    async held() {
      const ends = (await sink.kept()).map(({ stream, to }) => ({ stream, at: to }));
      const after = (await sink.gaps()).flatMap(({ until }) => (until === undefined ? [] : [until]));
      return [...ends, ...after].sort((a, b) => (a.at < b.at ? -1 : 1)).at(-1);
    },
    async log() {
      const kept = await sink.kept();
      const closed = kept.filter(({ kind }) => kind === "closed");
      const isSuperseded = (tail: Kept) => closed.some(({ from, to }) => from <= tail.from && tail.to <= to);
      return kept.filter((each) => each.kind === "closed" || !isSuperseded(each)).map(({ path }) => path);
    },
    async gaps() {
      const names = (await readdir(directory)).filter((name) => name.startsWith("gap-")).sort();
      // Written by `gap` above.
      return await Promise.all(
        names.map(async (name) => JSON.parse(await readFile(join(directory, name), "utf8")) as Gap),
      );
    },
  };
  return sink;
}

export function shipOptions(
  sink: LogSink,
  stop: AbortSignal,
  progress: ShipOptions["progress"] = () => {},
  from?: LogPosition,
): ShipOptions {
  const rest = {
    owner: "test",
    flushMs: 100,
    retainMostBytes: 2 ** 32,
    flushSoon: flushAsks().next,
    sink,
    progress,
    stop,
  };
  return from === undefined ? rest : { ...rest, from };
}
