import { compareVersions } from "./server-version.ts";

export type VersionFit = { refused?: string; warning?: string };

/**
 * Whether a server takes what another one wrote: the same or the next minor version does, an older one never. What is newer
 * by more is tried with a warning: the restore is verified before anything is switched to it.
 */
export function versionFit(written: string, target: string): VersionFit {
  const [from, to] = [minorOf(written), minorOf(target)];
  if (from === undefined || to === undefined) return { warning: `${written} and ${target} are no versions to compare` };
  if (to.major < from.major || (to.major === from.major && to.minor < from.minor))
    return {
      refused: `it is ${target}, and the snapshots were made by ${written}: an older server does not load them`,
    };
  if (to.major > from.major || to.minor > from.minor + 1)
    return {
      warning: `the server is ${target}, more than one minor version newer than ${written}, which made the snapshots`,
    };
  if (compareVersions(target, written) < 0)
    return { warning: `the server is ${target}, the snapshots are from ${written}` };
  return {};
}

function minorOf(version: string): { major: number; minor: number } | undefined {
  const found = /(\d+)\.(\d+)/.exec(version);
  return found === null ? undefined : { major: Number(found[1]), minor: Number(found[2]) };
}
