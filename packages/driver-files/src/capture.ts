import { once } from "node:events";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { Mark } from "@stillpoint/contracts/point";
import type { FilesSource } from "@stillpoint/contracts/source";
import type { Capture, DriverContext, MarkRequest } from "@stillpoint/driver/driver";
import type { TreeEntry, TreeWriter } from "@stillpoint/driver/tree";
import { LIST_PATH, type ListLine } from "./mark-detail.ts";
import { type Captured, captureFile } from "./read-file.ts";
import { findRoots, type Root } from "./roots.ts";
import { type Found, scan } from "./scan.ts";
import { type Changes, changesSince, otherFingerprint } from "./second-look.ts";

type Looked = Captured & { lookedAtMs: number };
type Spooled = { entry: TreeEntry & { type: "file" }; file: string; captured: Captured };
type SecondLook = { changes: Changes; spooled: Spooled[]; unread: Changes["changed"]; roots: Root[]; total: number };

export async function openCapture(source: FilesSource, context: DriverContext): Promise<Capture> {
  const { signal } = context;
  await findRoots(source.paths);
  const files = new Map<string, Looked>();
  const others = new Map<string, string>();
  let leftOut: string[] = [];
  let second: SecondLook | undefined;

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
      files.clear();
      others.clear();
      const looked = await scan(await findRoots(source.paths), source.exclude, signal);
      leftOut = looked.leftOut;
      for (const each of looked.found.values()) {
        if (each.type !== "file") {
          others.set(each.path, otherFingerprint(each));
          await tree.add(entryOf(each));
          continue;
        }
        const lookedAtMs = context.now();
        const captured = await captureFile(each, tree, signal);
        if (captured !== undefined) files.set(each.path, { ...captured, lookedAtMs });
        else await tree.add({ type: "deleted", path: each.path });
      }
    },

    settle: async () => undefined,

    async mark(request: MarkRequest): Promise<Mark> {
      const startedMs = context.monotonicMs();
      const budgetMs = Math.min(source.budget.ms, request.budgetMs);
      const roots = await findRoots(source.paths);
      const now = await scan(roots, source.exclude, signal);
      const changes = changesSince(files, others, now);
      const spool = join(context.directory, `spool-${request.cutId}`);
      await mkdir(spool, { recursive: true, mode: 0o700 });
      const over = () =>
        context.monotonicMs() - startedMs > budgetMs ? `its second look took longer than ${budgetMs} ms` : undefined;
      const { spooled, unread, why } = await readWithin(changes, spool, source.budget.bytes, over, signal);
      const total = [...now.found.values()].filter(({ type }) => type === "file").length;
      second = { changes, spooled, unread, roots, total };
      const unsteady = spooled.filter(({ captured }) => !captured.steady).map(({ entry }) => entry.path);
      const fuzzy =
        why ??
        over() ??
        (unsteady.length === 0 ? undefined : `${unsteady.slice(0, 3).join(", ")} changed while being read`);
      return {
        cutId: request.cutId,
        position: `${total} files, ${changes.changed.length} read again, ${changes.deleted.length} gone`,
        detail: { roots, files: total },
        counts: { files: total },
        notes: leftOut.length === 0 ? [] : [`left out, for they have no content: ${leftOut.slice(0, 5).join(", ")}`],
        ...(fuzzy === undefined ? {} : { fuzzy }),
      };
    },

    async finish(tree) {
      if (second === undefined) throw new StillpointError("INTERNAL", { what: "Finished before it was marked" });
      const { changes, spooled, unread } = second;
      const listed = new Map<string, Captured>(files);
      // What is gone goes first: a file may stand where a directory was.
      for (const path of changes.deleted) {
        listed.delete(path);
        await tree.add({ type: "deleted", path });
      }
      for (const each of changes.others) await tree.add(entryOf(each));
      for (const { entry, file, captured } of spooled) {
        await tree.add(entry, createReadStream(file, { signal }));
        listed.set(entry.path, captured);
      }
      for (const each of unread) {
        const captured = await captureFile(each, tree, signal);
        if (captured !== undefined) listed.set(each.path, captured);
        else {
          listed.delete(each.path);
          await tree.add({ type: "deleted", path: each.path });
        }
      }
      await addList(tree, listed, context, signal);
    },

    [Symbol.asyncDispose]: async () => {
      second = undefined;
    },
  };
}

/** Reads what changed into the spool while the application is quiet, until the budget is used up. */
async function readWithin(
  { changed }: Changes,
  spool: string,
  budgetBytes: number,
  over: () => string | undefined,
  signal: AbortSignal,
): Promise<{ spooled: Spooled[]; unread: Changes["changed"]; why?: string }> {
  const spooled: Spooled[] = [];
  let bytes = 0;
  for (const [at, each] of changed.entries()) {
    bytes += each.size;
    const why = bytes > budgetBytes ? `more than ${budgetBytes} bytes changed since its first look` : over();
    if (why !== undefined) return { spooled, unread: changed.slice(at), why };
    const file = join(spool, String(at));
    let entry: Spooled["entry"] | undefined;
    const captured = await captureFile(
      each,
      {
        async add(added, body) {
          if (added.type !== "file" || body === undefined) return { torn: false };
          entry = added;
          return { torn: (await writeFile(file, body)) !== added.size };
        },
      },
      signal,
    );
    if (captured !== undefined && entry !== undefined) spooled.push({ entry, file, captured });
  }
  return { spooled, unread: [] };
}

async function writeFile(path: string, body: AsyncIterable<Uint8Array>): Promise<number> {
  const out = createWriteStream(path, { mode: 0o600 });
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.byteLength;
    if (!out.write(chunk)) await once(out, "drain");
  }
  out.end();
  await once(out, "close");
  return bytes;
}

async function addList(
  tree: TreeWriter,
  listed: ReadonlyMap<string, Captured>,
  context: DriverContext,
  signal: AbortSignal,
): Promise<void> {
  const file = join(context.directory, "files.ndjson");
  const lines = async function* () {
    for (const [path, { size, sha256, steady }] of listed) {
      yield Buffer.from(`${JSON.stringify({ path, size, sha256, steady } satisfies ListLine)}\n`);
    }
  };
  await writeFile(file, lines());
  const { size } = await stat(file);
  const own = { mode: 0o600, mtimeMs: context.now() };
  await tree.add({ type: "directory", path: ".stillpoint", mode: 0o700, mtimeMs: own.mtimeMs });
  await tree.add({ type: "file", path: LIST_PATH, size, hint: "content", ...own }, createReadStream(file, { signal }));
  await rm(file);
}

function entryOf(each: Exclude<Found, { type: "file" }>): TreeEntry {
  const { path, mode, uid, gid, mtimeMs } = each;
  return each.type === "symlink"
    ? { type: "symlink", path, mode, uid, gid, mtimeMs, target: each.target }
    : { type: "directory", path, mode, uid, gid, mtimeMs };
}
