import { createHash } from "node:crypto";

/** What a file system of Linux allows in one name. */
const NAME_BYTES = 255;
const SHOWN_CHARACTERS = 120;

/** Where keys are kept that no directory can hold, and versions that are not the current ones. */
export const KEYS_PATH = ".stillpoint/keys";
export const VERSIONS_PATH = ".stillpoint/versions";

/** Whether a file of this relative path can lie in a directory: no way out, no empty name, none too long. */
export function fitsDirectory(key: string): boolean {
  return key
    .split("/")
    .every(
      (name) =>
        name !== "" &&
        name !== "." &&
        name !== ".." &&
        !name.includes("\0") &&
        name.isWellFormed() &&
        Buffer.byteLength(name) <= NAME_BYTES,
    );
}

/** One plain name for any text: what can be read of it, and a hash, so that no two share it. */
export function heldName(text: string): string {
  const shown = encodeURIComponent(text.toWellFormed()).replace(
    /[.!'()*~]/g,
    (c) => `%${c.charCodeAt(0).toString(16)}`,
  );
  return `${shown.slice(0, SHOWN_CHARACTERS)}~${createHash("sha256").update(text).digest("hex").slice(0, 32)}`;
}

export type Placed = {
  /** Without the source's prefix. */
  key: string;
  version: string;
  latest: boolean;
  /** Another object's key is a directory of this one: a directory holds only one of the two. */
  belowAnother: boolean;
};

/** Where an object's bytes lie in the backup's tree. Pure. */
export function objectPath(top: string, { key, version, latest, belowAnother }: Placed): string {
  if (!latest) return `${VERSIONS_PATH}/${heldName(key)}/${heldName(version)}`;
  return belowAnother || !fitsDirectory(key) ? `${KEYS_PATH}/${heldName(key)}` : `${top}/${key}`;
}

/**
 * Tells of keys, which come in the order of their bytes, whether another of them is a directory of theirs. Between a key and
 * those below it may lie others (`a`, `a!`, `a/b`), but all of them begin with it.
 */
export function aboveFinder(): (key: string) => boolean {
  let open: string[] = [];
  return (key) => {
    open = open.filter((before) => key.startsWith(before));
    const isBelow = open.some((before) => key.startsWith(`${before}/`));
    if (open.at(-1) !== key) open.push(key);
    return isBelow;
  };
}
