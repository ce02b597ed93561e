import type { FilesSource } from "@stillpoint/contracts/source";
import type { Driver } from "@stillpoint/driver/driver";
import { openCapture } from "./capture.ts";
import { startSandbox } from "./sandbox.ts";

/**
 * Directories, files and globs. The tree's top has one name for each captured path (roots.ts); mode, owner, time and
 * symbolic links are kept. Extended attributes are not: the runtime has no access to them.
 */
export const filesDriver: Driver<FilesSource> = {
  kind: "files",
  open: openCapture,
  layout: () => [],
  runtimes: async () => ["files"],
  start: startSandbox,
  addresses: () => [],
};
