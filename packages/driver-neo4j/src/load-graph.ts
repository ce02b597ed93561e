import type { Driver } from "neo4j-driver";
import type { GraphCounts, GraphKind, GraphRecord } from "./graph-record.ts";

const MOST_ROWS = 1000;
/** Characters of text in the lines of one batch: rows with large properties go in smaller ones. */
const MOST_CHARACTERS = 4 * 1024 * 1024;
/** Label, and property, by which relationships find their nodes while the import goes on. */
const OWN = "`stillpoint import`";

const STATEMENTS: Record<Exclude<GraphKind, "schema">, string> = {
  nodes:
    `UNWIND $rows AS row CREATE (n:$(row.labels)) SET n = row.properties SET n:${OWN}, n.${OWN} = row.id ` +
    "RETURN count(*) AS done",
  relationships:
    `UNWIND $rows AS row MATCH (from:${OWN} {${OWN}: row.from}) MATCH (to:${OWN} {${OWN}: row.to}) ` +
    "CREATE (from)-[r:$(row.type)]->(to) SET r = row.properties RETURN count(*) AS done",
};

/** A record, and how long its line was. */
export type LoadedRecord = { record: GraphRecord; characters: number };

/**
 * Fills an empty database, and tells how much came in. Constraints and indexes come last, for they are made faster over
 * what is there; a relationship whose end is not there is left out, and is missing from the counts.
 */
export async function loadRecords(
  driver: Driver,
  database: string,
  records: AsyncIterable<LoadedRecord>,
): Promise<GraphCounts> {
  const done: GraphCounts = { nodes: 0, relationships: 0, schema: 0 };
  const run = async (cypher: string, parameters: Record<string, unknown> = {}) => {
    await using session = driver.session({ database });
    return (await session.run(cypher, parameters)).records;
  };
  let finished = false;
  const finishData = async () => {
    if (finished) return;
    finished = true;
    await run(`MATCH (n:${OWN}) CALL (n) { REMOVE n:${OWN}, n.${OWN} } IN TRANSACTIONS OF 10000 ROWS`);
    await run(`DROP INDEX ${OWN}`);
  };
  await run(`CREATE RANGE INDEX ${OWN} FOR (n:${OWN}) ON (n.${OWN})`);
  let before: GraphKind = "nodes";
  for await (const batch of batches(records)) {
    const [{ kind }] = batch;
    if (kind === "relationships" && before === "nodes") await run("CALL db.awaitIndexes()");
    before = kind;
    if (kind === "schema") {
      await finishData();
      for (const { row } of batch) if ("statement" in row) await run(row.statement);
      done.schema += batch.length;
    } else {
      const [answer] = await run(STATEMENTS[kind], { rows: batch.map(({ row }) => row) });
      done[kind] += Number(answer?.get("done"));
    }
  }
  await finishData();
  return done;
}

/** Consecutive records of one kind. */
async function* batches(records: AsyncIterable<LoadedRecord>): AsyncGenerator<[GraphRecord, ...GraphRecord[]]> {
  let batch: GraphRecord[] = [];
  let characters = 0;
  const take = function* (): Generator<[GraphRecord, ...GraphRecord[]]> {
    const [first, ...rest] = batch;
    batch = [];
    characters = 0;
    if (first !== undefined) yield [first, ...rest];
  };
  for await (const { record, characters: length } of records) {
    const full = batch.length >= MOST_ROWS || characters + length > MOST_CHARACTERS;
    if (full || (batch.length > 0 && batch[0]?.kind !== record.kind)) yield* take();
    batch.push(record);
    characters += length;
  }
  yield* take();
}
