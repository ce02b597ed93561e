import { createReadStream } from "node:fs";
import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { Mark } from "@stillpoint/contracts/point";
import type { FilesSource } from "@stillpoint/contracts/source";
import type { Capture, DriverContext } from "@stillpoint/driver/driver";
import type { TreeEntry, TreeWriter } from "@stillpoint/driver/tree";
import { LIST_PATH, type ListLine } from "./mark-detail.ts";
import { type Captured, captureFile } from "./read-file.ts";
import { findRoots } from "./roots.ts";
import type { Found, Scan } from "./scan.ts";
import { startScanner } from "./scanner.ts";
import { changedSince, type Looked, otherFingerprint } from "./second-look.ts";
import { openSpool, writeAll } from "./spool.ts";

type File = Extract<Found, { type: "file" }>;
type Limit = { bytes: number; ms: number };
/** The source as the last look found it, and what of it could not be read within the limit. */
type Look = { scan: Scan; unread: File[]; why?: string };

/** What changes while the base is sent is read again before the fence, up to this much. */
const BEFORE_THE_FENCE: Limit = { bytes: 1_000_000_000, ms: 60_000 };

export async function openCapture(source: FilesSource, context: DriverContext): Promise<Capture> {
  const { signal } = context;
  await findRoots(source.paths);
  const scanner = startScanner(source.exclude);
  const spool = openSpool(join(context.directory, "spool"));
  /** Every file as it was read last, by the base or into the spool. */
  const looked = new Map<string, Looked>();
  /** What the base holds: paths, and directories and links as they were. */
  const based = new Map<string, string>();
  let last: Look | undefined;

  function note(captured: Captured | undefined, path: string, lookedAtMs: number): void {
    if (captured !== undefined) looked.set(path, { ...captured, lookedAtMs });
    else looked.delete(path);
  }

  /** Reads again what changed since it was read last. */
  async function lookAgain(limit: Limit): Promise<Look> {
    const startedMs = context.monotonicMs();
    const scan = await scanner.look(await findRoots(source.paths), signal);
    for (const path of [...looked.keys()]) {
      if (scan.found.get(path)?.type === "file") continue;
      looked.delete(path);
      await spool.drop(path);
    }
    const changed = changedSince(looked, scan);
    let bytes = 0;
    for (const [at, each] of changed.entries()) {
      bytes += each.size;
      const tookMs = context.monotonicMs() - startedMs;
      const why =
        bytes > limit.bytes
          ? `more than ${limit.bytes} bytes changed since they were read`
          : tookMs > limit.ms
            ? `its second look took longer than ${limit.ms} ms`
            : undefined;
      if (why !== undefined) return { scan, unread: changed.slice(at), why };
      const lookedAtMs = context.now();
      note(await spool.keep(each, signal), each.path, lookedAtMs);
    }
    return { scan, unread: [] };
  }

  /** Without a fence the look is one moment only if a further one finds nothing else. */
  async function movedMeanwhile(before: Scan): Promise<string | undefined> {
    const after = await scanner.look(await findRoots(source.paths), signal);
    const moved = [
      ...changedSince(looked, after).map(({ path }) => path),
      ...[...before.found.keys()].filter((path) => !after.found.has(path)),
    ];
    return moved.length === 0 ? undefined : `${named(moved)} changed during its second look, which no fence kept quiet`;
  }

  return {
    description: {
      version: "files",
      runtime: { id: "files", version: "1", arch: process.arch, extensions: [], settings: {} },
      hasLog: false,
      base: "full",
      finish: "incremental",
      notes: [],
    },

    async base(tree) {
      looked.clear();
      based.clear();
      const { found } = await scanner.look(await findRoots(source.paths), signal);
      for (const each of found.values()) {
        based.set(each.path, each.type === "file" ? each.type : otherFingerprint(each));
        if (each.type !== "file") {
          await tree.add(entryOf(each));
          continue;
        }
        const lookedAtMs = context.now();
        note(await captureFile(each, tree, signal), each.path, lookedAtMs);
      }
    },

    async settle() {
      await lookAgain(BEFORE_THE_FENCE);
    },

    async mark({ cutId, budgetMs, fenced }): Promise<Mark> {
      last = await lookAgain({ bytes: source.budget.bytes, ms: Math.min(source.budget.ms, budgetMs) });
      const { scan, unread, why } = last;
      const files = [...scan.found.values()].filter(({ type }) => type === "file").length;
      const unsteady = [...looked].filter(([, { steady }]) => !steady).map(([path]) => path);
      const unfenced = fenced || why !== undefined ? undefined : await movedMeanwhile(scan);
      const fuzzy =
        why ?? unfenced ?? (unsteady.length === 0 ? undefined : `${named(unsteady)} changed while being read`);
      return {
        cutId,
        position: unread.length === 0 ? `${files} files` : `${files} files, ${unread.length} read after the fence`,
        detail: { files },
        counts: { files },
        notes: scan.leftOut.length === 0 ? [] : [`left out, for they have no content: ${named(scan.leftOut)}`],
        ...(fuzzy === undefined ? {} : { fuzzy }),
      };
    },

    async finish(tree) {
      if (last === undefined) throw new StillpointError("INTERNAL", { what: "Finished before it was marked" });
      const { scan, unread } = last;
      // What is gone goes first: a file may stand where a directory was.
      for (const path of based.keys()) if (!scan.found.has(path)) await tree.add({ type: "deleted", path });
      for (const each of scan.found.values()) {
        if (each.type !== "file" && based.get(each.path) !== otherFingerprint(each)) await tree.add(entryOf(each));
      }
      await spool.send(tree, signal);
      for (const each of unread) {
        const lookedAtMs = context.now();
        const captured = await captureFile(each, tree, signal);
        note(captured, each.path, lookedAtMs);
        if (captured === undefined) await tree.add({ type: "deleted", path: each.path });
      }
      await addList(tree, looked, context);
    },

    [Symbol.asyncDispose]: () => scanner[Symbol.asyncDispose](),
  };
}

async function addList(tree: TreeWriter, looked: ReadonlyMap<string, Captured>, context: DriverContext): Promise<void> {
  const file = join(context.directory, "files.ndjson");
  const lines = async function* () {
    for (const [path, { size, sha256, steady }] of looked) {
      yield Buffer.from(`${JSON.stringify({ path, size, sha256, steady } satisfies ListLine)}\n`);
    }
  };
  await writeAll(file, lines());
  const { size } = await stat(file);
  const own = { mode: 0o600, mtimeMs: context.now() };
  await tree.add({ type: "directory", path: ".stillpoint", mode: 0o700, mtimeMs: own.mtimeMs });
  const body = createReadStream(file, { signal: context.signal });
  await tree.add({ type: "file", path: LIST_PATH, size, hint: "content", ...own }, body);
  await rm(file);
}

function entryOf(each: Exclude<Found, File>): TreeEntry {
  const { path, mode, uid, gid, mtimeMs } = each;
  return each.type === "symlink"
    ? { type: "symlink", path, mode, uid, gid, mtimeMs, target: each.target }
    : { type: "directory", path, mode, uid, gid, mtimeMs };
}

function named(paths: readonly string[]): string {
  return paths.slice(0, 3).join(", ") + (paths.length > 3 ? ", …" : "");
}
