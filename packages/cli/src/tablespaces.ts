import { join } from "node:path";
import { text } from "node:stream/consumers";
import { earlierBy } from "@stillpoint/agent/earlier";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { SourceKind } from "@stillpoint/contracts/names";
import type { PointSource } from "@stillpoint/contracts/point";
import type { Placed, Tablespace } from "@stillpoint/driver-postgres/tablespace-places";
import type { PointReader } from "./point-reader.ts";
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
    tell(world, places.tablespacesOf(mark), source === cluster.source ? placed : [], join(to, source));
  return async (source, directory) => {
    if (source.source === cluster.source) await places.placeTablespaces(directory, placed);
  };
}

type Moment = { kind: SourceKind; base: string; directory: string; given: readonly string[] };

/** The same of one source's moment: its base says itself which there are. The directory is that of the restored source. */
export async function momentTablespaces(
  world: World,
  reader: Pick<PointReader, "tar">,
  { kind, base, directory, given }: Moment,
): Promise<() => Promise<void>> {
  if (kind !== "postgres") {
    if (given.length === 0) return async () => undefined;
    throw new StillpointError("INVALID_REQUEST", {
      what: "Cannot place a tablespace",
      where: "--tablespace",
      why: `it is for PostgreSQL, and this source is ${kind}`,
    });
  }
  const [places, { BASE_PATH, parseBaseFacts }] = await Promise.all([
    import("@stillpoint/driver-postgres/tablespace-places"),
    import("@stillpoint/driver-postgres/base-facts"),
  ]);
  const files = earlierBy({ getBackup: reader.tar }, [base]);
  const { tablespaces } = parseBaseFacts(await text(files.read(BASE_PATH)));
  const placed = await places.readPlaces(tablespaces, given);
  tell(world, tablespaces, placed, directory);
  return () => places.placeTablespaces(directory, placed);
}

function tell(world: World, tablespaces: readonly Tablespace[], placed: readonly Placed[], directory: string): void {
  for (const { oid, name, location } of tablespaces) {
    const place = placed.find((each) => each.oid === oid)?.to ?? join(directory, "pg_tblspc", oid);
    world.errorLine(`    tablespace ${name}, which was at ${location} → ${place}`);
  }
}
