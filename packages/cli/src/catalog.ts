import { catalogRebuild } from "@stillpoint/contracts/queries";
import { reachBus } from "./reach.ts";
import type { World } from "./world.ts";

const REBUILD_TIMEOUT_MS = 600_000;

export async function rebuildCatalog(world: World, options: { json?: boolean }): Promise<void> {
  await using bus = await reachBus(world);
  world.errorLine("making the catalog anew from the repository …");
  const made = await bus.request(catalogRebuild, {}, {}, { timeoutMs: REBUILD_TIMEOUT_MS });
  if (options.json) world.out(`${JSON.stringify(made)}\n`);
  else
    world.out([`${made.points} points, ${made.proofs} proofs, ${made.backups} backups`, ...made.notes, ""].join("\n"));
}
