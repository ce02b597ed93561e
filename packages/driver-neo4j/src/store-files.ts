import { readdir } from "node:fs/promises";
import { StillpointError } from "@stillpoint/contracts/errors";
import { isMissing } from "./file-error.ts";

/**
 * What a database directory holds, by how it must be copied. `records`: pages that recovery writes anew, whatever state
 * they are copied in. `tree`: a page tree that is whole only as of its own last checkpoint. `lucene`: a directory of
 * files that belong together.
 */
export type StorePart = { kind: "records" | "tree" | "plain" | "lucene"; path: string };

const PAGE_TREES = [/\.id$/, /^neostore\.counts\.db$/, /^neostore\.indexstats\.db$/, /\.degrees\.db$/, /^index-\d+$/];
/** Files of the running server alone, or none of the data: locks, ids freed in this run. */
const NOT_DATA = [/^database_lock$/, /^id-buffer\.tmp\./, /^write\.lock$/];

export function isNotData(name: string): boolean {
  return NOT_DATA.some((pattern) => pattern.test(name));
}

export function kindOf(name: string): "records" | "tree" | "plain" {
  if (PAGE_TREES.some((pattern) => pattern.test(name))) return "tree";
  return name.startsWith("neostore") ? "records" : "plain";
}

export function isLucene(names: readonly string[]): boolean {
  return names.some((name) => name === "write.lock" || name.startsWith("segments_"));
}

/** The parts below a database directory, by path. A directory that goes away meanwhile is an index that was dropped. */
export async function storeParts(directory: string, below = ""): Promise<StorePart[]> {
  const entries = await readdir(`${directory}/${below}`, { withFileTypes: true }).catch((error: unknown) => {
    if (below !== "" && isMissing(error)) return [];
    throw error;
  });
  if (isLucene(entries.map((entry) => entry.name))) return [{ kind: "lucene", path: below.slice(0, -1) }];
  const parts: StorePart[] = [];
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = `${below}${entry.name}`;
    if (entry.isSymbolicLink()) throw linked(`${directory}/${path}`);
    if (entry.isDirectory()) parts.push(...(await storeParts(directory, `${path}/`)));
    else if (entry.isFile() && !isNotData(entry.name)) parts.push({ kind: kindOf(entry.name), path });
  }
  return parts;
}

/** A link would be left out of the copy, and with it a part of the data. */
function linked(where: string): StillpointError {
  return new StillpointError("SOURCE_UNSUPPORTED", {
    what: "Cannot copy a database directory",
    where,
    why: "it is a symbolic link, and the server makes none there",
    hint: "leave `data` out of the source: then it is exported over Bolt",
  });
}
