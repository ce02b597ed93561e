import { type FilesConnection, openFiles } from "./files-store.ts";
import { type Neo4jConnection, openNeo4j } from "./neo4j-store.ts";
import { openPostgres, type PostgresConnection } from "./postgres-store.ts";
import { openQdrant, type QdrantConnection } from "./qdrant-store.ts";
import { openSqlite, type SqliteConnection } from "./sqlite-store.ts";
import type { SampleStore } from "./store.ts";

/** Where the stores are. One that is absent is left out: the sample lives in the others. */
export type Connections = {
  postgres?: PostgresConnection;
  neo4j?: Neo4jConnection;
  qdrant?: QdrantConnection;
  sqlite?: SqliteConnection;
  files?: FilesConnection;
};

export function openStores(connections: Connections): SampleStore[] {
  const { postgres, neo4j, qdrant, sqlite, files } = connections;
  const stores = [
    postgres && openPostgres(postgres),
    neo4j && openNeo4j(neo4j),
    qdrant && openQdrant(qdrant),
    sqlite && openSqlite(sqlite),
    files && openFiles(files),
  ].filter((store) => store !== undefined);
  if (stores.length === 0) throw new Error("the sample needs at least one store");
  return stores;
}

export async function closeStores(stores: readonly SampleStore[]): Promise<void> {
  await Promise.all(stores.map((store) => store.close()));
}
