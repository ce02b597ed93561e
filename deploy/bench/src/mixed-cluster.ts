import { join } from "node:path";
import { makeTextAndVectors, type SetFile } from "@stillpoint/repository/bench/mixed-set";
import type { PostgresSet } from "./postgres-set.ts";

/** Half of it the data directory of a cluster that pgbench fills, half text and float vectors; below `root`. */
export async function makeMixedSet(cluster: PostgresSet, root: string, megabytes: number): Promise<SetFile[]> {
  await cluster.fill((megabytes * 1e6) / 2);
  const pages = await cluster.copyTo(join(root, "postgres"));
  const prefixed = pages.map((file) => ({ ...file, path: `postgres/${file.path}` }));
  return [...prefixed, ...(await makeTextAndVectors(root, megabytes / 2))];
}
