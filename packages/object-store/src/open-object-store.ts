import { mkdir } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { fromErrno } from "./directory-errors.ts";
import type { ObjectStore } from "./object-store.ts";
import { openStore } from "./open-store.ts";
import { withRetry } from "./retry.ts";
import type { Environment } from "./store-credentials.ts";
import { parseStoreUrl } from "./store-url.ts";

export type OpenObjectStoreOptions = {
  /** Credentials come from here alone; docs/guide/targets.md names the variables. */
  environment: Environment;
  /** Make the directory where it is missing. Only who makes a new repository wants that. */
  create?: boolean;
  random?: () => number;
};

/** The storage that a URL names, behind the retry wrapper. Nothing is asked of it yet. */
export async function openObjectStore(url: string, options: OpenObjectStoreOptions): Promise<ObjectStore> {
  const place = parseStoreUrl(url);
  if (place.kind === "directory" && options.create === true)
    await mkdir(place.directory, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
      throw fromErrno(error, "Cannot create the directory of the repository", place.directory);
    });
  return withRetry(await openStore(place, { environment: options.environment }), {
    random: options.random ?? Math.random,
    sleep: async (ms, signal) => {
      await sleep(ms, undefined, signal === undefined ? {} : { signal });
    },
  });
}
