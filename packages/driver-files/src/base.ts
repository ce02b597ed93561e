import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { toStillpointError } from "@stillpoint/contracts/errors";
import type { DriverContext } from "@stillpoint/driver/driver";
import type { BodilessEntry, Earlier, TreeWriter } from "@stillpoint/driver/tree";
import { joined, type Pair } from "./joined.ts";
import { lineWriter, readLines } from "./line-file.ts";
import type { LinkBook } from "./link-book.ts";
import { LIST_PATH, type ListLine, listLine } from "./mark-detail.ts";
import { otherEntry } from "./other-entry.ts";
import { captureFile } from "./read-file.ts";
import type { Found, FoundFile, Xattrs } from "./scan.ts";
import { type Scanner, xattrsByPath } from "./scanner.ts";

export type BasePorts = {
  tree: TreeWriter;
  earlier: Earlier | undefined;
  now: AsyncIterable<readonly Found[]>;
  /** The file that gets every path as it is captured. */
  into: string;
  links: LinkBook;
  scanner: Pick<Scanner, "xattrsOf" | "holesOf">;
  context: DriverContext;
};
/** `taken` over from the point before, and how many bytes were read of the others. */
export type BaseFigures = { files: number; taken: number; readBytes: number };

const MOST_AT_ONCE = 2048;

/** Everything once, in the order of a walk; what is as it was at the point before comes without its bytes. */
export async function sendBase(ports: BasePorts): Promise<BaseFigures> {
  const { tree, links, scanner, context } = ports;
  const { signal } = context;
  const list = ports.earlier && tree.addBodiless && (await fetchList(ports.earlier, context));
  const figures = { files: 0, taken: 0, readBytes: 0 };
  const out = lineWriter(ports.into);
  let waiting: BodilessEntry[] = [];

  async function flush(): Promise<void> {
    await tree.addBodiless?.(waiting);
    waiting = [];
  }
  async function add(entry: BodilessEntry): Promise<void> {
    if (list === undefined && entry.type !== "unchanged") return void (await tree.add(entry));
    waiting.push(entry);
    if (waiting.length >= MOST_AT_ONCE) await flush();
  }

  async function read(file: FoundFile, xattrs: Xattrs | undefined): Promise<void> {
    await flush();
    const lookedAtMs = context.now();
    const noteRead = (bytes: number) => {
      figures.readBytes += bytes;
    };
    const captured = await captureFile(file, tree, {
      signal,
      xattrs,
      links,
      holesOf: scanner.holesOf,
      read: noteRead,
    });
    // It may have been sent, have changed, and been gone when it was to be sent again: that must not come back.
    if (captured === undefined) return void (await tree.add({ type: "deleted", path: file.path }));
    figures.files += 1;
    await out.add({ type: "file", path: file.path, from: file.from, held: "base", ...captured, lookedAtMs });
  }

  async function takeOver(file: FoundFile, { sha256, mtimeMs = 0, identity = "" }: ListLine): Promise<void> {
    const { path, size } = file;
    figures.files += 1;
    figures.taken += 1;
    links.note(path, file);
    await add({ type: "unchanged", path, size, mtimeMs, identity });
    await out.add({ ...file, held: "base", sha256, steady: true, lookedAtMs: context.now() });
  }

  try {
    for await (const pairs of joined(list ?? none(), ports.now)) {
      const fresh = pairs.flatMap(({ before, now }) =>
        now === undefined || now.type === "other" || (now.type === "file" && isUnchanged(before, now)) ? [] : [now],
      );
      const xattrsOf = await xattrsByPath(scanner, fresh, signal);
      for (const { before, now } of pairs) {
        if (now === undefined || now.type === "other") continue;
        if (now.type !== "file") {
          await add(otherEntry(now, xattrsOf.get(now.path)));
          await out.add(now);
        } else if (before !== undefined && isUnchanged(before, now)) await takeOver(now, before);
        else await read(now, xattrsOf.get(now.path));
      }
    }
    await flush();
    await out.end();
  } finally {
    out.destroy();
  }
  return figures;
}

function isUnchanged(before: Pair<ListLine, Found>["before"], now: FoundFile): boolean {
  return (
    before?.identity === now.identity && before.mtimeMs === now.mtimeMs && before.size === now.size && before.steady
  );
}

async function* none(): AsyncGenerator<never[]> {
  yield [];
}

/** The list of the point before, fetched whole before anything rests on it. Undefined: then everything is read. */
async function fetchList(earlier: Earlier, context: DriverContext): Promise<AsyncIterable<ListLine[]> | undefined> {
  const path = join(context.directory, "earlier.ndjson");
  try {
    await pipeline(Readable.from(earlier.read(LIST_PATH)), createWriteStream(path, { mode: 0o600 }), {
      signal: context.signal,
    });
    return readLines(path, (value) => listLine.parse(value));
  } catch (thrown) {
    context.signal.throwIfAborted();
    const error = toStillpointError(thrown, "Cannot read the list of the point before").toBody();
    context.log("everything is read: the point before has no list to compare with", { error });
    return undefined;
  }
}
