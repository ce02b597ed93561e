import type { World } from "@stillpoint/cli/world";
import { soakFaults } from "./faults.ts";
import { soakFilesMoments } from "./files-moments/files-moments.ts";
import { soakIndex } from "./large-index.ts";
import { soakLargeSet } from "./large-set.ts";
import { soakMillionFiles } from "./million-files/million-files.ts";
import { soakModel } from "./model.ts";
import { soakNeo4jMoments } from "./neo4j-moments/neo4j-moments.ts";
import { soakPostgresVersions } from "./postgres-versions.ts";
import { soakQdrantMoments } from "./qdrant-moments/qdrant-moments.ts";
import { soakMoments } from "./ship/moments.ts";
import { soakRpo } from "./ship/rpo.ts";
import { soakShip } from "./ship/ship.ts";
import { soakShipKill } from "./ship/ship-kill.ts";

/** What is soaked without services, servers and an application: each area reads its own arguments. Answers the violations. */
export type Area = (world: World, args: readonly string[]) => Promise<string[]>;

export const AREAS: Readonly<Record<string, Area>> = {
  "10gb": soakLargeSet,
  faults: soakFaults,
  index: soakIndex,
  "million-files": soakMillionFiles,
  model: soakModel,
  "postgres-versions": soakPostgresVersions,
  moments: soakMoments,
  rpo: soakRpo,
  ship: soakShip,
  "ship-kill": soakShipKill,
  "files-moments": soakFilesMoments,
  "neo4j-moments": soakNeo4jMoments,
  "qdrant-moments": soakQdrantMoments,
};
