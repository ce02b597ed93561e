import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";

/** Takes away what a directory holds beside these paths and what they lie in. Links are not followed. Gives how many. */
export async function removeOthers(directory: string, paths: ReadonlySet<string>): Promise<number> {
  const parents = new Set<string>();
  for (const path of paths)
    for (let at = path.lastIndexOf("/"); at > 0; at = path.lastIndexOf("/", at - 1)) {
      const parent = path.slice(0, at);
      if (parents.has(parent)) break;
      parents.add(parent);
    }
  let removed = 0;
  const visit = async (below: string): Promise<void> => {
    for (const entry of await readdir(join(directory, below), { withFileTypes: true })) {
      const path = below === "" ? entry.name : `${below}/${entry.name}`;
      if (entry.isDirectory() && (parents.has(path) || paths.has(path))) await visit(path);
      else if (!paths.has(path)) {
        await rm(join(directory, path), { recursive: true });
        removed++;
      }
    }
  };
  await visit("");
  return removed;
}
