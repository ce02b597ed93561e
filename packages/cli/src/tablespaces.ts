import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { PointSource } from "@stillpoint/contracts/point";
import type { World } from "./world.ts";

/** What is done with a source's restored directory. */
export type PlaceTablespaces = (source: PointSource, directory: string) => Promise<void>;

/**
 * Says where a PostgreSQL cluster's further tablespaces will lie: inside the restored directory, unless `given` has a place for
 * one. Refuses what cannot be done before anything is written.
 */
export async function tablespacePlaces(
  world: World,
  sources: readonly PointSource[],
  { given, over, to }: { given: readonly string[]; over: boolean; to: string },
): Promise<PlaceTablespaces> {
  const { isDump } = await import("@stillpoint/driver-postgres/dump-mark");
  const clusters = sources.filter(({ kind, mark }) => kind === "postgres" && !isDump(mark));
  const [cluster] = clusters;
  if (given.length > 0 && (clusters.length !== 1 || over))
    throw new StillpointError("INVALID_REQUEST", {
      what: "Cannot place a tablespace",
      where: "--tablespace",
      why: over
        ? "--over writes into one directory only"
        : `it is for one PostgreSQL cluster, and here are ${clusters.length}`,
      hint: over ? "leave --over out" : "name it: --source",
    });
  if (cluster === undefined) return async () => undefined;
  const places = await import("@stillpoint/driver-postgres/tablespace-places");
  const placed = await places.readPlaces(places.tablespacesOf(cluster.mark), given);
  for (const { source, mark } of clusters)
    for (const { oid, name, location } of places.tablespacesOf(mark)) {
      const place = placed.find((each) => source === cluster.source && each.oid === oid);
      world.errorLine(
        `    tablespace ${name}, which was at ${location} → ${place?.to ?? join(to, source, "pg_tblspc", oid)}`,
      );
    }
  return async (source, directory) => {
    if (source.source === cluster.source) await places.placeTablespaces(directory, placed);
  };
}
