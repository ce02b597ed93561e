import type { SourceKind } from "@stillpoint/contracts/names";
import type { TreeLayout } from "@stillpoint/driver/driver";
import { filesDriver } from "@stillpoint/driver-files/files-driver";
import { neo4jDriver } from "@stillpoint/driver-neo4j/neo4j-driver";
import { postgresDriver } from "@stillpoint/driver-postgres/postgres-driver";
import { qdrantDriver } from "@stillpoint/driver-qdrant/qdrant-driver";
import { sqliteDriver } from "@stillpoint/driver-sqlite/sqlite-driver";

export const KIND_LAYOUTS: Record<SourceKind, TreeLayout> = {
  postgres: postgresDriver.layout,
  neo4j: neo4jDriver.layout,
  qdrant: qdrantDriver.layout,
  sqlite: sqliteDriver.layout,
  files: filesDriver.layout,
};
