import { join } from "node:path";
import type { IndexOptions } from "@stillpoint/repository/index/open-chunk-index";
import type { World } from "./world.ts";

/** Where a command keeps the chunk index for the next one; without such a place it is made anew each time. */
export function indexCache({ environment }: Pick<World, "environment">): IndexOptions {
  const home = environment.XDG_CACHE_HOME;
  return home === undefined || home === "" ? {} : { directory: join(home, "stillpoint", "chunk-index") };
}
