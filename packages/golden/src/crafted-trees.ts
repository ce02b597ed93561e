import { createHash } from "node:crypto";
import type { TreeEntry, TreeWriter } from "@stillpoint/driver/tree";

export type Item = { entry: TreeEntry; body?: Buffer };

/** 2026-01-02, in a year that no clock gives by accident; with a fraction, which a restore keeps. */
const MTIME_MS = Date.UTC(2026, 0, 2, 3, 4, 5, 678) + 0.25;
const PAGE = 8_192;

/** Bytes that look random and are the same in every run. */
export function noise(seed: string, length: number): Buffer {
  const blocks: Buffer[] = [];
  for (let made = 0; made < length; made += 32) blocks.push(createHash("sha256").update(`${seed} ${made}`).digest());
  return Buffer.concat(blocks).subarray(0, length);
}

const text = (seed: string, lines: number) =>
  Buffer.from(
    Array.from({ length: lines }, (_, i) => `${seed} line ${i}: ${noise(`${seed}${i}`, 9).toString("hex")}\n`).join(""),
  );

const metadata = { mode: 0o640, mtimeMs: MTIME_MS };
const directory = (path: string, mode = 0o750): Item => ({ entry: { type: "directory", path, ...metadata, mode } });
const file = (path: string, body: Buffer, more: Partial<Extract<TreeEntry, { type: "file" }>> = {}): Item => ({
  entry: { type: "file", path, ...metadata, size: body.length, hint: "content", ...more },
  body,
});

/** A table of 64 pages; `changed` of them are not what they were. */
export function pages(count: number, changed: readonly number[] = []): Buffer {
  const made = Array.from({ length: count }, (_, i) =>
    Buffer.concat([noise(changed.includes(i) ? `changed page ${i}` : `page ${i}`, 512), Buffer.alloc(PAGE - 512, i)]),
  );
  return Buffer.concat(made);
}

/** A tar with small and large entries, as bytes. */
function innerTar(): Buffer {
  const block = (name: string, body: Buffer) => {
    const header = Buffer.alloc(512);
    header.write(name, 0);
    header.write("0000644\0", 100);
    header.write("0000000\0", 108);
    header.write("0000000\0", 116);
    header.write(`${body.length.toString(8).padStart(11, "0")}\0`, 124);
    header.write("14733600000\0", 136);
    header.write("        ", 148);
    header.write("0", 156);
    header.write("ustar\0" + "00", 257);
    header.write(
      `${header
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, "0")}\0 `,
      148,
    );
    return Buffer.concat([header, body, Buffer.alloc((512 - (body.length % 512)) % 512)]);
  };
  const small = Array.from({ length: 20 }, (_, i) => block(`segments/small-${i}`, noise(`small ${i}`, 700 + i)));
  return Buffer.concat([...small, block("segments/vectors", noise("vectors", 300_000)), Buffer.alloc(1024)]);
}

export const CRAFTED_XATTRS = { "user.comment": Buffer.from("kept"), "user.bytes": Buffer.from([0, 255, 10]) };

/** A full: what the five kinds' own captures do not show, or not for certain. */
export const FULL: Item[] = [
  directory("base"),
  directory("base/closed", 0o500),
  file("base/closed/inside", Buffer.from("written before its directory was closed\n"), { mode: 0o400 }),
  file("base/table", pages(640), { hint: `page:${PAGE}` }),
  file("base/half-page", pages(3).subarray(0, 2 * PAGE + 100), { hint: `page:${PAGE}` }),
  file("base/odd-pages", noise("odd pages", 3_000), { hint: "page:1000" }),
  file("base/text", text("a log", 8_000)),
  file("base/noise", noise("incompressible", 400_000)),
  file("base/empty", Buffer.alloc(0)),
  file("base/archive.tar", innerTar(), { hint: "tar" }),
  file("base/archive.cut", innerTar().subarray(0, 280_000), { hint: "tar" }),
  ...Array.from({ length: 300 }, (_, i) => file(`small/${i % 7}/${i}`, text(`small ${i}`, i % 23))),
  { entry: { type: "symlink", path: "base/link", target: "text", mode: 0o777, mtimeMs: MTIME_MS } },
  { entry: { type: "symlink", path: "base/dangling", target: "/nowhere/at all", mode: 0o777, mtimeMs: MTIME_MS } },
  file("base/ÄÖÜ 名前 \u{1F600}", Buffer.from("a name beyond ASCII\n")),
  file(`base/${"long-".repeat(40)}name`, Buffer.from("a name that no ustar field holds\n")),
  file("base/attributes", Buffer.from("with extended attributes\n"), { xattrs: CRAFTED_XATTRS }),
  file("base/old-time", Buffer.from("of 1970\n"), { mtimeMs: 1 }),
  file("base/appended", Buffer.from("the first part, ")),
  file("base/twice", Buffer.from("read while it changed")),
  file("base/twice", Buffer.from("and once more, steady")),
  // A body that ends early is padded with zeros and marked as torn; the first of them is then read again.
  {
    ...file("base/torn-then-whole", Buffer.from("short")),
    entry: { ...file("base/torn-then-whole", Buffer.alloc(64)).entry },
  },
  file("base/torn-then-whole", Buffer.from("whole at the second try")),
  { ...file("base/torn", Buffer.from("short")), entry: { ...file("base/torn", Buffer.alloc(64)).entry } },
  directory("gone"),
  file("gone/with/all", Buffer.from("below it")),
  file("becomes-directory", Buffer.from("a file at first")),
  directory("becomes-file"),
  file("becomes-file/inside", Buffer.from("goes with its directory")),
];

/** Laid over the full: changed pages, deletions, other types, a body that begins where the file ended. */
export const INCREMENTAL: Item[] = [
  file("base/table", pages(650, [0, 5, 6, 7, 90, 191, 400, 639]), { hint: `page:${PAGE}` }),
  { entry: { type: "deleted", path: "gone" } },
  { entry: { type: "deleted", path: "never/was" } },
  directory("becomes-directory"),
  file("becomes-directory/now", Buffer.from("inside of a directory")),
  file("becomes-file", Buffer.from("a file now")),
  file("base/appended", Buffer.from("the second part, "), { offset: 16 }),
  file("small/0/0", Buffer.from("replaced\n")),
];

/** Laid over both. */
export const LOG: Item[] = [
  file("base/appended", Buffer.from("and the third. What follows is cut off"), { offset: 33 }),
  file("base/appended", Buffer.from("and the third."), { offset: 33 }),
  file("log/0001", Buffer.concat([text("wal", 300), Buffer.alloc(200_000)])),
];

/** The table as a later backup finds it: few pages of it are new, so that its blocks are made of several extents. */
export const LATER: Item[] = [
  file("base/table", pages(650, [0, 5, 6, 7, 40, 90, 130, 191, 400, 500, 639]), { hint: `page:${PAGE}` }),
];

export async function addAll(tree: TreeWriter, items: readonly Item[]): Promise<void> {
  for (const { entry, body } of items)
    await tree.add(
      entry,
      (async function* () {
        if (body !== undefined && body.length > 0) yield body;
      })(),
    );
}
