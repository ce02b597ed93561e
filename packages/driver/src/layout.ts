import { constants } from "node:fs";
import { chmod, lstat, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { LayoutStep } from "./driver.ts";
import type { TreeFile } from "./tree.ts";
import { checkTreePath } from "./tree-path.ts";

/** The regular files below a directory, sorted by path. */
export async function treeFiles(directory: string): Promise<TreeFile[]> {
  const files: TreeFile[] = [];
  const walk = async (below: string) => {
    for (const entry of await readdir(join(directory, below), { withFileTypes: true })) {
      const path = below === "" ? entry.name : `${below}/${entry.name}`;
      if (entry.isDirectory()) await walk(path);
      else if (entry.isFile()) files.push({ path, size: (await lstat(join(directory, path))).size });
    }
  };
  await walk("");
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Does the steps in order. Doing them again on the result changes nothing. */
export async function applyLayout(directory: string, steps: readonly LayoutStep[]): Promise<void> {
  for (const step of steps) await apply(directory, step);
}

async function apply(directory: string, step: LayoutStep): Promise<void> {
  switch (step.do) {
    case "write": {
      const path = await placed(directory, step.path);
      await mkdir(dirname(path), { recursive: true });
      const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW;
      await using file = await open(path, flags, step.mode);
      await file.writeFile(step.content);
      return await file.chmod(step.mode);
    }
    case "truncate": {
      await using file = await open(await placed(directory, step.path), constants.O_WRONLY | constants.O_NOFOLLOW);
      return await file.truncate(step.size);
    }
    case "move": {
      const [from, to] = [await placed(directory, step.from), await placed(directory, step.to)];
      if (!(await exists(from)) && (await exists(to))) return;
      await mkdir(dirname(to), { recursive: true });
      return await rename(from, to);
    }
    case "remove":
      return await rm(await placed(directory, step.path), { recursive: true, force: true });
    case "directory": {
      const path = await placed(directory, step.path);
      await mkdir(path, { recursive: true });
      return await chmod(path, step.mode);
    }
  }
}

/** The path inside the directory; refuses one that a symbolic link on the way would lead elsewhere. */
async function placed(directory: string, path: string): Promise<string> {
  const parts = checkTreePath(path).split("/");
  for (let depth = 1; depth < parts.length; depth += 1) {
    const above = join(directory, ...parts.slice(0, depth));
    if ((await exists(above)) && (await lstat(above)).isSymbolicLink()) {
      throw new StillpointError("PATH_UNSAFE", {
        what: "Refused to lay out a restored tree",
        where: path,
        why: `${parts.slice(0, depth).join("/")} is a symbolic link`,
      });
    }
  }
  return join(directory, path);
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return false;
    throw error;
  }
}
