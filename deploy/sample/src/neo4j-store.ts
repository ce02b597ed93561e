import neo4j from "neo4j-driver";
import { ForeignDataError, type Row, type SampleStore, writtenAt } from "./store.ts";

export type Neo4jConnection = { url: string; user?: string; password?: string; database?: string };

const ROWS_AT_ONCE = 500;

export function openNeo4j(connection: Neo4jConnection): SampleStore {
  const { url, user = "neo4j", password, database = "neo4j" } = connection;
  const auth = password === undefined ? undefined : neo4j.auth.basic(user, password);
  const driver = neo4j.driver(url, auth, {
    disableLosslessIntegers: true,
    connectionAcquisitionTimeout: 10_000,
    maxTransactionRetryTime: 5_000,
  });
  async function run(cypher: string, parameters: Record<string, unknown> = {}): Promise<Record<string, unknown>[]> {
    const result = await driver.executeQuery(cypher, parameters, { database });
    return result.records.map((record) => record.toObject());
  }

  return {
    name: "neo4j",
    async marker() {
      const [row] = await run(
        `optional match (m:SampleMarker)
         return m.seed as seed, m.documents as documents, m.finished as finished, exists { (:Entity) } as entities`,
      );
      if (row === undefined || row.seed === null) {
        if (row?.entities === true) throw new ForeignDataError("neo4j", "a node with the label Entity");
        return undefined;
      }
      return { seed: String(row.seed), documents: Number(row.documents), finished: row.finished === true };
    },
    async clear() {
      const session = driver.session({ database });
      try {
        // Batches of their own: one transaction over everything would need the server's memory for it.
        await session.run(
          "match (n) where n:Entity or n:SampleMarker call (n) { detach delete n } in transactions of 1000 rows",
        );
      } finally {
        await session.close();
      }
    },
    async begin(marker) {
      await run("create constraint entity_id if not exists for (e:Entity) require e.id is unique");
      await run("create index entity_seq if not exists for (e:Entity) on (e.seq)");
      await run("create (:SampleMarker {seed: $seed, documents: $documents, finished: false})", {
        seed: marker.seed,
        documents: neo4j.int(marker.documents),
      });
      await run("call db.awaitIndexes(60)");
    },
    async load(rows) {
      for (let at = 0; at < rows.length; at += ROWS_AT_ONCE) {
        await run(
          `unwind $rows as row
           create (e:Entity {id: row.id, seq: row.seq, name: row.name, kind: row.kind, summary: row.summary, writtenAt: row.at})
           with e, row unwind row.relatesTo as other
           match (o:Entity {id: other})
           create (e)-[:RELATES {seq: row.seq}]->(o)`,
          { rows: rows.slice(at, at + ROWS_AT_ONCE).map(properties) },
        );
      }
    },
    async finish() {
      await run("match (m:SampleMarker) set m.finished = true");
    },
    async apply(write, content) {
      await run(
        `merge (e:Entity {id: $row.id})
         set e.seq = $row.seq, e.name = $row.name, e.kind = $row.kind, e.summary = $row.summary, e.writtenAt = $row.at
         with e
         call (e) { match (e)-[r:RELATES]->() delete r }
         call (e) { match (o:Entity) where o.id in $row.relatesTo and o <> e create (e)-[:RELATES {seq: $row.seq}]->(o) }
         call () { match (gone:Entity {id: $removes}) detach delete gone }`,
        { row: properties({ content, relatesTo: write.relatesTo }), removes: write.removes?.id ?? null },
      );
    },
    async documents() {
      const rows = await run("match (e:Entity) return e.id as id, e.seq as seq");
      return new Map(rows.map(({ id, seq }) => [String(id), Number(seq)]));
    },
    async close() {
      await driver.close();
    },
  };
}

function properties({ content, relatesTo }: Row) {
  return {
    id: content.id,
    seq: neo4j.int(content.seq),
    name: content.title,
    kind: content.kind,
    summary: content.summary,
    at: writtenAt(content.seq),
    relatesTo,
  };
}
