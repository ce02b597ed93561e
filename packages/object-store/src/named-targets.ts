import { parseStoreUrl } from "./store-url.ts";
import { type TargetsSpec, targetSpec } from "./target-spec.ts";
import { readTargetsFile } from "./targets-file.ts";

/** A repository may be named by its targets file as well as by the URL of its primary. */
export function isTargetsFile(where: string): boolean {
  return /\.ya?ml$/.test(where) && !where.includes("://");
}

/** The targets that a URL or a targets file names. */
export function namedTargets(where: string, readFile: (path: string) => string): TargetsSpec {
  if (isTargetsFile(where)) return readTargetsFile(where, readFile);
  // Parsed alone first: a URL that is none is named as itself, not as a field of a file.
  const place = parseStoreUrl(where);
  return { primary: targetSpec.parse({ url: place.kind === "directory" ? place.directory : where }), replicas: {} };
}
