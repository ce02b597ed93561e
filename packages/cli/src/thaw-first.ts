import { StillpointError } from "@stillpoint/contracts/errors";
import type { ThawPlan } from "@stillpoint/repository/replicas/thaw";
import { bytes, span } from "./figures.ts";
import type { PointReader } from "./point-reader.ts";
import type { World } from "./world.ts";

export function coldShown({ cold, bytes: size, byClass, takesMs, packs }: ThawPlan): string {
  const classes = Object.entries(byClass).map(([name, figures]) => `${figures.objects} in ${name}`);
  return `${cold.length} of ${packs} packs, ${bytes(size)}, must be thawed first (${classes.join(", ")}): up to ${span(takesMs)}`;
}

/** A thaw costs money: it is asked for when a person says so. Doing it again goes on waiting for the one that was asked for. */
export async function thawFirst(world: World, reader: PointReader, plan: ThawPlan, isWanted: boolean): Promise<void> {
  if (!isWanted)
    throw new StillpointError("OBJECT_COLD", {
      what: "Nothing was restored",
      why: coldShown(plan),
      hint: "say --thaw to ask for it and wait; the storage bills it by its own prices",
    });
  const startedMs = world.clock.monotonicMs();
  await reader.thaw?.(plan, ({ readable, of }) =>
    world.errorLine(`  thawed ${readable} of ${of} packs after ${span(world.clock.monotonicMs() - startedMs)}`),
  );
}
