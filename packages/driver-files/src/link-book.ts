import type { FileState } from "./scan.ts";

/** Files that are remembered at most; of further ones each path comes back as a file of its own. */
const MOST = 100_000;

/** Under which path a file with several was captured first, by its state: a link in another state is none. Its own, of the first. */
export function linkBook() {
  const first = new Map<string, string>();
  return {
    firstOf(path: string, { isLinked, fingerprint }: FileState): string | undefined {
      return isLinked ? (first.get(fingerprint) ?? path) : undefined;
    },
    note(path: string, { isLinked, fingerprint }: FileState): void {
      if (isLinked && !first.has(fingerprint) && first.size < MOST) first.set(fingerprint, path);
    },
  };
}
export type LinkBook = ReturnType<typeof linkBook>;
