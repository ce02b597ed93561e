import { createReadStream } from "node:fs";
import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { Mark } from "@stillpoint/contracts/point";
import type { FilesSource } from "@stillpoint/contracts/source";
import type { Capture, DriverContext } from "@stillpoint/driver/driver";
import type { TreeWriter } from "@stillpoint/driver/tree";
import { sendBase } from "./base.ts";
import { joined } from "./joined.ts";
import { lineWriter, readLines } from "./line-file.ts";
import { linkBook } from "./link-book.ts";
import { type Limit, type Look, lookAgain } from "./look-again.ts";
import { LIST_PATH, type ListLine } from "./mark-detail.ts";
import { namedFew } from "./named-few.ts";
import { otherEntry } from "./other-entry.ts";
import { captureFile } from "./read-file.ts";
import { findRoots } from "./roots.ts";
import { startScanner } from "./scanner.ts";
import { isAsRead, mayBeRelied, otherFingerprint, type Seen } from "./seen.ts";
import { openSpool } from "./spool.ts";

/** What changes while the base is sent is read again before the fence, up to this much. */
const BEFORE_THE_FENCE: Limit = { bytes: 1_000_000_000, ms: 60_000, files: 100_000 };

/** Written by ourselves, in this session. */
const asSeen = (value: unknown) => value as Seen;

export async function openCapture(source: FilesSource, context: DriverContext): Promise<Capture> {
  const { signal } = context;
  await findRoots(source.paths);
  const scanner = startScanner(source.exclude);
  const at = (name: string) => join(context.directory, name);
  let spool = openSpool(at("spool"));
  let links = linkBook();
  const look = async () => scanner.look(await findRoots(source.paths), signal);
  const seen = (path: string) => readLines(path, asSeen);
  const based = at("base.ndjson");
  /** What every path was at the last look: the base's, until there was another. */
  let newest = based;
  let looks = 0;
  let last: Look | undefined;

  async function again(limit: Limit): Promise<Look> {
    looks += 1;
    const into = at(`look-${looks}.ndjson`);
    const found = await lookAgain({
      before: seen(newest),
      now: await look(),
      into,
      limit,
      spool,
      links,
      scanner,
      context,
    });
    if (newest !== based) await rm(newest);
    newest = into;
    last = found;
    return found;
  }

  /** Without a fence the look is one moment only if a further one finds nothing else. */
  async function movedMeanwhile(): Promise<string | undefined> {
    const moved = namedFew();
    for await (const pairs of joined(seen(newest), await look())) {
      for (const { before, now } of pairs) {
        if (before !== undefined && now === undefined) moved.add(before.path);
        else if (now?.type === "file" && !(before?.type === "file" && isAsRead(before, now))) moved.add(now.path);
      }
    }
    return moved.count === 0 ? undefined : `${moved} changed during its second look, which no fence kept quiet`;
  }

  return {
    description: {
      version: "files",
      runtime: { id: "files", version: "1", arch: process.arch, extensions: [], settings: {} },
      hasLog: false,
      base: "full",
      finish: "incremental",
      notes: scanner.seesAll
        ? []
        : ["extended attributes and access lists are not captured: this runtime cannot read them"],
    },

    async base(tree, earlier) {
      [spool, links, newest, last] = [openSpool(at("spool")), linkBook(), based, undefined];
      const ports = { tree, earlier, now: await look(), into: based, links: linkBook(), scanner, context };
      const { files, taken, readBytes } = await sendBase(ports);
      context.log("base captured", { files, taken, readBytes });
    },

    async settle() {
      await again(BEFORE_THE_FENCE);
    },

    async mark({ cutId, budgetMs, fenced }): Promise<Mark> {
      const { bytes, ms } = source.budget;
      const found = await again({ bytes, ms: Math.min(ms, budgetMs) });
      const { files, unread, unsteady, leftOut, why } = found;
      const unfenced = fenced || why !== undefined ? undefined : await movedMeanwhile();
      const fuzzy = why ?? unfenced ?? (unsteady.count === 0 ? undefined : `${unsteady} changed while being read`);
      return {
        cutId,
        position: unread === 0 ? `${files} files` : `${files} files, ${unread} read after the fence`,
        detail: { files },
        counts: { files },
        notes: leftOut.count === 0 ? [] : [`left out, for they have no content: ${leftOut}`],
        ...(fuzzy === undefined ? {} : { fuzzy }),
      };
    },

    async finish(tree) {
      if (last === undefined) throw new StillpointError("INTERNAL", { what: "Finished before it was marked" });
      // What is gone goes first: a file may stand where a directory was.
      for await (const pairs of joined(seen(based), seen(newest)))
        for (const { before, now } of pairs)
          if (before !== undefined && now === undefined) await tree.add({ type: "deleted", path: before.path });
      await spool.send(tree, signal);
      const list = lineWriter(at("list.ndjson"));
      for await (const pairs of joined(seen(based), seen(newest))) {
        for (const { before, now } of pairs) {
          if (now === undefined) continue;
          if (now.type !== "file") {
            const isAsBased = before !== undefined && before.type !== "file" && isSame(before, now);
            if (!isAsBased) await tree.add(otherEntry(now, (await scanner.xattrsOf([now.from], signal))[0]));
            continue;
          }
          const line = now.held === "unread" ? await readNow(now, tree) : now;
          if (line === undefined) await tree.add({ type: "deleted", path: now.path });
          else await list.add(listed(line));
        }
      }
      await list.end();
      await addList(tree, at("list.ndjson"), context);
    },

    [Symbol.asyncDispose]: () => scanner[Symbol.asyncDispose](),
  };

  async function readNow(file: Extract<Seen, { type: "file" }>, tree: TreeWriter) {
    const [xattrs] = await scanner.xattrsOf([file.from], signal);
    const found = { ...file, mode: 0, uid: 0, gid: 0 }; // what counts is what its descriptor says
    const captured = await captureFile(found, tree, { signal, xattrs, holesOf: scanner.holesOf, links });
    return captured && { ...file, ...captured };
  }
}

function isSame(before: Exclude<Seen, { type: "file" }>, now: Exclude<Seen, { type: "file" }>): boolean {
  return otherFingerprint(before) === otherFingerprint(now);
}

function listed(file: Extract<Seen, { type: "file" }>): ListLine {
  const { path, size, sha256, steady, mtimeMs, identity } = file;
  return { path, size, sha256, steady, ...(mayBeRelied(file) ? { mtimeMs, identity } : {}) };
}

async function addList(tree: TreeWriter, file: string, context: DriverContext): Promise<void> {
  const { size } = await stat(file);
  const own = { mode: 0o600, mtimeMs: context.now() };
  await tree.add({ type: "directory", path: ".stillpoint", mode: 0o700, mtimeMs: own.mtimeMs });
  const body = createReadStream(file, { signal: context.signal });
  await tree.add({ type: "file", path: LIST_PATH, size, hint: "content", ...own }, body);
  await rm(file);
}
