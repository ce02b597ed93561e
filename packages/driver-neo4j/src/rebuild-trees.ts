import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { kindOf } from "./store-files.ts";

/** Takes away everything that the server makes anew from records and log: indexes, free ids, counts. */
export async function removePageTrees(databaseDirectory: string): Promise<void> {
  const trees = (await readdir(databaseDirectory)).filter((name) => kindOf(name) === "tree");
  for (const name of [...trees, "schema"]) await rm(join(databaseDirectory, name), { recursive: true, force: true });
}
