import { mkdir } from "node:fs/promises";
import { fromErrno } from "./directory-errors.ts";
import { namedTargets } from "./named-targets.ts";
import type { ObjectStore } from "./object-store.ts";
import { type OpenTarget, openTarget } from "./open-target.ts";
import type { Environment } from "./store-credentials.ts";
import { parseStoreUrl } from "./store-url.ts";
import { targetWorld } from "./target-world.ts";

export type OpenObjectStoreOptions = {
  /** Credentials come from here alone; docs/guide/targets.md names the variables. */
  environment: Environment;
  /** Make the directory where it is missing. Only who makes a new repository wants that. */
  create?: boolean;
  random?: () => number;
};

/** The target that a URL names, or the primary of a targets file. Nothing is asked of it yet. */
export async function openPrimary(where: string, options: OpenObjectStoreOptions): Promise<OpenTarget> {
  const { environment, create = false, random } = options;
  const world = targetWorld(environment, random === undefined ? {} : { random });
  const { primary: spec } = namedTargets(where, world.readFile);
  const place = parseStoreUrl(spec.url);
  if (place.kind === "directory" && create)
    await mkdir(place.directory, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
      throw fromErrno(error, "Cannot create the directory of the repository", place.directory);
    });
  return openTarget("primary", spec, world);
}

/** Its storage, behind its wrappers. */
export async function openObjectStore(where: string, options: OpenObjectStoreOptions): Promise<ObjectStore> {
  return (await openPrimary(where, options)).store;
}
