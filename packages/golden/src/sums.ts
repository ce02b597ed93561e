import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { IN_GOLDEN } from "./places.ts";

/** One line for each file below a directory but the list itself, as `sha256sum` prints and checks them. */
export async function sumsOf(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const names = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .filter((name) => name !== IN_GOLDEN.sums)
    .sort();
  return await Promise.all(
    names.map(
      async (name) =>
        `${createHash("sha256")
          .update(await readFile(join(directory, name)))
          .digest("hex")}  ${name}`,
    ),
  );
}
