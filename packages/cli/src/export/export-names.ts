import { createHash } from "node:crypto";
import type { Point, PointSource } from "@stillpoint/contracts/point";

/** So long may a part be, that every file system and object store takes the whole name with what is put behind it. */
const LONGEST_PART = 80;
const DIGEST = 12;

/** `YYYY/MM/DD` and `YYYYMMDD_HHMMSS` of the cut, in UTC. */
function stampOf(at: string): { folder: string; stamp: string } {
  const [date = "", time = ""] = new Date(at).toISOString().split("T");
  return {
    folder: date.replaceAll("-", "/"),
    stamp: `${date.replaceAll("-", "")}_${time.slice(0, 8).replaceAll(":", "")}`,
  };
}

/** A database's or collection's name as part of a file's. Two names never become one: what is escaped is escaped by its bytes. */
function safePart(part: string): string {
  const escaped = [...Buffer.from(part)]
    .map((byte) => {
      const character = String.fromCharCode(byte);
      return /[\w-]/.test(character) ? character : `.${byte.toString(16).toUpperCase().padStart(2, "0")}`;
    })
    .join("");
  if (escaped.length <= LONGEST_PART) return escaped;
  const digest = createHash("sha256").update(part).digest("hex").slice(0, DIGEST);
  // A dot that no two digits follow: no escaped name has one.
  return `${escaped.slice(0, LONGEST_PART - DIGEST)}.-${digest}`;
}

/**
 * `kind/YYYY/MM/DD/kind_YYYYMMDD_HHMMSS[_source][_part].ext`. The source's name stands in it where the point holds several
 * of its kind: that is decided by the point, so that exporting one source after the other gives the same names.
 */
export function exportStem(point: Point, { source, kind }: Pick<PointSource, "source" | "kind">): string {
  const { folder, stamp } = stampOf(point.cut.at);
  const isOnly = point.sources.filter((each) => each.kind === kind).length === 1;
  return `${kind}/${folder}/${kind}_${stamp}${isOnly ? "" : `_${source}`}`;
}

export function exportName(stem: string, { part, extension }: { part: string; extension: string }): string {
  return `${stem}${part === "" ? "" : `_${safePart(part)}`}.${extension}`;
}

export function exportManifestName(point: Point): string {
  const { folder, stamp } = stampOf(point.cut.at);
  return `point/${folder}/point_${stamp}.json`;
}
