import type { SourceKind } from "@stillpoint/contracts/names";
import type { SourceSpec } from "@stillpoint/contracts/source";
import type { Driver, DriverContext, Sandbox, SandboxInput } from "@stillpoint/driver/driver";
import type { PortableExport } from "@stillpoint/driver/portable";

/** Loaded when they are needed: a restore of files needs no database's client. */
const LOADERS = {
  postgres: async () => (await import("@stillpoint/driver-postgres/postgres-driver")).postgresDriver,
  neo4j: async () => (await import("@stillpoint/driver-neo4j/neo4j-driver")).neo4jDriver,
  qdrant: async () => (await import("@stillpoint/driver-qdrant/qdrant-driver")).qdrantDriver,
  sqlite: async () => (await import("@stillpoint/driver-sqlite/sqlite-driver")).sqliteDriver,
  files: async () => (await import("@stillpoint/driver-files/files-driver")).filesDriver,
} satisfies { [Kind in SourceKind]: () => Promise<Driver<Extract<SourceSpec, { kind: Kind }>>> };

export async function driverOf(kind: SourceKind): Promise<Pick<Driver, "kind" | "layout" | "recover">> {
  return await LOADERS[kind]();
}

/** A throw-away server on a laid-out tree. */
export async function startSandbox(kind: SourceKind, input: SandboxInput, context: DriverContext): Promise<Sandbox> {
  return (await LOADERS[kind]()).start(input, context);
}

const EXPORTS: { [Kind in SourceKind]: () => Promise<PortableExport> } = {
  postgres: async () => (await import("@stillpoint/driver-postgres/portable")).exportPostgres,
  neo4j: async () => (await import("@stillpoint/driver-neo4j/portable")).exportNeo4j,
  qdrant: async () => (await import("@stillpoint/driver-qdrant/portable")).exportQdrant,
  sqlite: async () => (await import("@stillpoint/driver-sqlite/portable")).exportSqlite,
  files: async () => (await import("@stillpoint/driver-files/portable")).exportFiles,
};

/** How a kind's laid-out tree becomes the store's own files. */
export function portableOf(kind: SourceKind): Promise<PortableExport> {
  return EXPORTS[kind]();
}
