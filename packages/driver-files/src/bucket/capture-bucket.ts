import { join, matchesGlob } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { Mark } from "@stillpoint/contracts/point";
import type { BucketRule, FilesSource } from "@stillpoint/contracts/source";
import type { Capture, DriverContext } from "@stillpoint/driver/driver";
import type { BodilessEntry, TreeWriter } from "@stillpoint/driver/tree";
import { captureObject, objectSpool, readAhead } from "./capture-object.ts";
import { listCurrent, listVersions, versioningOf } from "./list-bucket.ts";
import { type BookedObject, objectBook } from "./object-book.ts";
import { addLists, knownObjects } from "./object-lists.ts";
import { isPinned, versionOf } from "./read-object.ts";
import { openBucket } from "./source-bucket.ts";

type Limit = { bytes: number; ms: number };
/** Why the state that the last look found is not of one moment, if it is not. */
type Look = { why: string | undefined; complete: boolean };

const MOST_GATHERED = 1_000;

/** What changes while the base is sent is read again before the fence, up to this much. */
const BEFORE_THE_FENCE: Limit = { bytes: 1_000_000_000, ms: 60_000 };

/**
 * Captures a bucket: what it holds by listing, each object by its ETag and, where it has one, its version. Versions that
 * nothing is written over are read after the fence; the others inside it.
 */
export async function openBucketCapture(
  source: FilesSource & { bucket: BucketRule },
  context: DriverContext,
): Promise<Capture> {
  await using opening = new AsyncDisposableStack();
  const from = opening.use(openBucket(source.bucket, context));
  const everyVersion = source.bucket.versions === "all";
  const list = everyVersion ? listVersions : listCurrent;
  const versioning = await versioningOf(from);
  // The first page, or the error that says what is missing.
  for await (const _ of list(from)) break;
  const book = opening.use(
    objectBook(join(context.directory, "objects.db"), { prefix: from.prefix, top: from.bucket, everyVersion }),
  );
  const spool = objectSpool(context.directory);
  let last: Look | undefined;
  const resources = opening.move();

  const isWanted = (key: string) => {
    const path = key.slice(from.prefix.length);
    return !source.exclude.some(
      (pattern) => matchesGlob(path, pattern) || matchesGlob(`${from.bucket}/${path}`, pattern),
    );
  };

  /** Some of what moved since the look before. Undefined: it was given up, for it took too long. */
  async function look(untilMs = Number.POSITIVE_INFINITY): Promise<string[] | undefined> {
    book.beginLook();
    for await (const page of list(from)) {
      book.add(page.filter(({ key }) => isWanted(key)));
      if (context.monotonicMs() > untilMs) return undefined;
    }
    return book.finishLook();
  }

  /** Makes sure of what was found otherwise than it was read: by its version, else by reading it now. */
  async function secure(row: BookedObject): Promise<{ bytes: number; drifted: boolean }> {
    if (isPinned(row.version)) return { bytes: 0, drifted: false };
    if (versioning === "Enabled") {
      const version = await versionOf(from, row);
      if (version !== undefined) {
        book.pin(row, version);
        return { bytes: 0, drifted: false };
      }
    }
    const held = await spool.keep(from, row);
    if (held === undefined) {
      book.forget(row);
      return { bytes: 0, drifted: true };
    }
    book.hold(row, held);
    return { bytes: held.size, drifted: held.etag !== row.etag || !held.steady };
  }

  async function lookAgain(limit: Limit): Promise<Look> {
    const untilMs = context.monotonicMs() + limit.ms;
    const late = `its second look took longer than ${limit.ms} ms`;
    if ((await look(untilMs)) === undefined) return { complete: false, why: late };
    let bytes = 0;
    const drifted: string[] = [];
    for (const row of book.unread()) {
      if (context.monotonicMs() > untilMs) return { complete: true, why: late };
      // Asked before it is read: one large object alone may be more than the budget.
      if (versioning !== "Enabled" && !isPinned(row.version) && bytes + row.size > limit.bytes)
        return { complete: true, why: `more than ${limit.bytes} bytes changed since they were read` };
      const secured = await secure(row);
      bytes += secured.bytes;
      if (secured.drifted) drifted.push(row.key);
    }
    return { complete: true, why: drifted.length === 0 ? undefined : `${named(drifted)} changed while being read` };
  }

  /** Without a fence the listing is one moment only if a further one, begun after its end, finds the same. */
  async function movedMeanwhile(limitMs: number): Promise<string | undefined> {
    const untilMs = context.monotonicMs() + limitMs;
    const moved = await look(untilMs);
    if (moved === undefined) return `a further listing, which no fence kept quiet, took longer than ${limitMs} ms`;
    return moved.length === 0 ? undefined : `${named(moved)} changed during its second look, which no fence kept quiet`;
  }

  return {
    description: {
      version: "S3",
      runtime: { id: "files", version: "1", arch: process.arch, extensions: [], settings: {} },
      hasLog: false,
      base: "full",
      finish: "incremental",
      notes:
        everyVersion && versioning === "never"
          ? ["the bucket keeps no versions: an object that is written over between two points is in neither"]
          : [],
    },

    async base(tree, earlier) {
      book.clear();
      await look();
      if (earlier !== undefined && tree.addBodiless !== undefined)
        for await (const known of knownObjects(earlier)) book.know(known);
      const unchanged = unchangedObjects(tree);
      for await (const { row, begun } of readAhead(from, book.present())) {
        if (row.held?.at === "earlier") {
          await unchanged.add(row);
          book.hold(row, { ...row.held, at: "base" });
          book.sent(row.path);
          continue;
        }
        await unchanged.flush();
        const held = await captureObject(from, row, "base", tree, begun);
        if (held === undefined) {
          // It may have been sent in part, and gone when it was to be sent again.
          await tree.add({ type: "deleted", path: row.path });
          book.forget(row);
        } else {
          book.hold(row, held);
          book.sent(row.path);
        }
      }
      await unchanged.flush();
    },

    async settle() {
      await lookAgain(BEFORE_THE_FENCE);
    },

    async mark({ cutId, budgetMs, fenced }): Promise<Mark> {
      // Without a fence nobody waits, and a further listing takes as long as the first.
      const ms = fenced ? Math.min(source.budget.ms, budgetMs) : budgetMs / 3;
      last = await lookAgain({ bytes: source.budget.bytes, ms });
      const fuzzy = last.why ?? (fenced ? undefined : await movedMeanwhile(budgetMs / 3));
      const objects = book.count();
      return {
        cutId,
        position: last.complete ? `${objects} objects` : "listed after the fence",
        // One more: the list of the objects.
        detail: {
          bucket: { name: from.bucket, prefix: from.prefix },
          ...(fuzzy === undefined ? { files: objects + 1 } : {}),
        },
        ...(last.complete ? { counts: { objects } } : {}),
        notes: [],
        ...(fuzzy === undefined ? {} : { fuzzy }),
      };
    },

    async finish(tree) {
      if (last === undefined) throw new StillpointError("INTERNAL", { what: "Finished before it was marked" });
      if (!last.complete) await look();
      // What is gone goes first: an object may lie where a directory was.
      for (const path of book.gone()) await tree.add({ type: "deleted", path });
      for (const row of book.spooled()) if (row.held !== undefined) await spool.send(row, row.held, tree, from.signal);
      for await (const { row, begun } of readAhead(from, book.unread())) {
        const held = await captureObject(from, row, "finish", tree, begun);
        if (held !== undefined) book.hold(row, held);
        else if (isPinned(row.version)) {
          throw new StillpointError("CUT_VOID", {
            what: "A version of an object is gone that the cut holds",
            where: `${from.where(row.key)}, ${row.version}`,
            hint: "let the bucket keep noncurrent versions for a day at least",
          });
        } else {
          // Read after the fence, in a point that says so.
          await tree.add({ type: "deleted", path: row.path });
          book.forget(row);
        }
      }
      await addLists(tree, book, context);
    },

    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

/** Gathers entries without bodies, which go many at once, in the order in which the earlier base has them. */
function unchangedObjects(tree: TreeWriter) {
  let gathered: BodilessEntry[] = [];
  const flush = async () => {
    if (gathered.length > 0) await tree.addBodiless?.(gathered);
    gathered = [];
  };
  return {
    async add({ path, size, modifiedMs, etag }: BookedObject): Promise<void> {
      gathered.push({ type: "unchanged", path, size, mtimeMs: modifiedMs, identity: etag });
      if (gathered.length === MOST_GATHERED) await flush();
    },
    flush,
  };
}

function named(keys: readonly string[]): string {
  return keys.slice(0, 3).join(", ") + (keys.length > 3 ? ", …" : "");
}
