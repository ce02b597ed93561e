import { mkdir } from "node:fs/promises";
import { namedTargets } from "@stillpoint/object-store/named-targets";
import { openTarget } from "@stillpoint/object-store/open-target";
import { parseStoreUrl } from "@stillpoint/object-store/store-url";
import { targetWorld } from "@stillpoint/object-store/target-world";
import type { World } from "../world.ts";
import { bucketPlace } from "./bucket-place.ts";
import { directoryPlace } from "./directory-place.ts";
import type { ExportPlace } from "./export-place.ts";

/** The place that a URL names, or the primary of a targets file: a bucket with a proxy, an authority, a bandwidth of its own. */
export async function openExportPlace(world: World, where: string, isDryRun: boolean): Promise<ExportPlace> {
  const machine = targetWorld(world.environment, { now: world.clock.now });
  const { primary } = namedTargets(where, machine.readFile);
  const place = parseStoreUrl(primary.url);
  if (place.kind === "directory") {
    if (!isDryRun) await mkdir(place.directory, { recursive: true, mode: 0o700 });
    return directoryPlace(place.directory, world.signal);
  }
  return bucketPlace((await openTarget("export", primary, machine)).store, world.signal);
}
