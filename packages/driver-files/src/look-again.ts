import type { DriverContext } from "@stillpoint/driver/driver";
import { joined } from "./joined.ts";
import { lineWriter } from "./line-file.ts";
import type { LinkBook } from "./link-book.ts";
import { type NamedFew, namedFew } from "./named-few.ts";
import type { Found, FoundFile, Xattrs } from "./scan.ts";
import { type Scanner, xattrsByPath } from "./scanner.ts";
import { isAsRead, type Seen, type SeenFile } from "./seen.ts";
import type { Spool } from "./spool.ts";

export type Limit = { bytes: number; ms: number; files?: number };
/** The source as a look found it; `why`: what changed could not all be read within the limit. */
export type Look = { files: number; unread: number; unsteady: NamedFew; leftOut: NamedFew; why?: string };

export type LookPorts = {
  before: AsyncIterable<readonly Seen[]>;
  now: AsyncIterable<readonly Found[]>;
  /** The file that gets every path as it is now. */
  into: string;
  limit: Limit;
  spool: Spool;
  links: LinkBook;
  scanner: Pick<Scanner, "xattrsOf" | "holesOf">;
  context: DriverContext;
};

/** Reads what changed since it was read last into the spool, and notes what every path is now. */
export async function lookAgain(ports: LookPorts): Promise<Look> {
  const { limit, spool, links, scanner, context } = ports;
  const { signal } = context;
  const startedMs = context.monotonicMs();
  const out = lineWriter(ports.into);
  const look = { files: 0, unread: 0, unsteady: namedFew(), leftOut: namedFew() };
  let why: string | undefined;
  let bytes = 0;
  let changed = 0;

  function exceeded({ size }: FoundFile): string | undefined {
    bytes += size;
    changed += 1;
    if (bytes > limit.bytes) return `more than ${limit.bytes} bytes changed since they were read`;
    if (changed > (limit.files ?? changed)) return `more than ${limit.files} files changed since they were read`;
    const tookMs = context.monotonicMs() - startedMs;
    return tookMs > limit.ms ? `its second look took longer than ${limit.ms} ms` : undefined;
  }

  async function readAgain(file: FoundFile, xattrs: Xattrs | undefined): Promise<SeenFile | undefined> {
    const { path, from } = file;
    why ??= exceeded(file);
    if (why !== undefined) {
      await spool.drop(path);
      const { size, fingerprint, identity, changedMs, isLinked, mtimeMs } = file;
      const state = { size, fingerprint, identity, changedMs, isLinked, mtimeMs };
      return { type: "file", path, from, held: "unread", ...state, sha256: "", steady: true, lookedAtMs: 0 };
    }
    const lookedAtMs = context.now();
    const captured = await spool.keep(file, { signal, xattrs, links, holesOf: scanner.holesOf });
    return captured && { type: "file", path, from, held: "spool", ...captured, lookedAtMs };
  }

  try {
    for await (const pairs of joined(ports.before, ports.now)) {
      const toRead = pairs.flatMap(({ before, now }) =>
        why === undefined && now?.type === "file" && !isSame(before, now) ? [now] : [],
      );
      const xattrs = await xattrsByPath(scanner, toRead, signal);
      for (const { before, now } of pairs) {
        if (now?.type !== "file" && before?.type === "file") await spool.drop(before.path);
        if (now === undefined) continue;
        if (now.type === "other") look.leftOut.add(now.path);
        else if (now.type !== "file") await out.add(now);
        else {
          const seen = isSame(before, now) ? before : await readAgain(now, xattrs.get(now.path));
          if (seen === undefined) continue;
          look.files += 1;
          if (seen.held === "unread") look.unread += 1;
          else if (!seen.steady) look.unsteady.add(seen.path);
          await out.add(seen);
        }
      }
    }
    await out.end();
  } finally {
    out.destroy();
  }
  return { ...look, ...(why === undefined ? {} : { why }) };
}

function isSame(before: Seen | undefined, now: FoundFile): before is SeenFile {
  return before?.type === "file" && isAsRead(before, now);
}
