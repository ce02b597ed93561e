import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { StoreCheckRow } from "@stillpoint/contracts/query";
import type { Driver } from "neo4j-driver";
import { z } from "zod";
import { boltError } from "./bolt.ts";
import { type ExportFile, exportPath } from "./export-tree.ts";
import { fromJson, type JsonValue } from "./property-value.ts";

const BATCH = 1000;
/** Label, and property, by which relationships find their nodes while the import goes on. */
const OWN = "`stillpoint import`";

const summary = z.object({ schema: z.number(), nodes: z.number(), relationships: z.number() });
const properties = z.record(z.string(), z.json());
const nodeLine = z.object({ id: z.string(), labels: z.array(z.string()), properties });
const relationshipLine = z.object({ from: z.string(), to: z.string(), type: z.string(), properties });
const schemaLine = z.object({ statement: z.string() });

const CREATE_NODES =
  `UNWIND $rows AS row CREATE (n:$(row.labels)) SET n = row.properties SET n:${OWN}, n.${OWN} = row.id ` +
  "RETURN count(*) AS done";
const CREATE_RELATIONSHIPS =
  `UNWIND $rows AS row MATCH (from:${OWN} {${OWN}: row.from}) MATCH (to:${OWN} {${OWN}: row.to}) ` +
  "CREATE (from)-[r:$(row.type)]->(to) SET r = row.properties RETURN count(*) AS done";

/** Fills an empty database from an export, and says whether all that it holds came in. */
export async function importTree(driver: Driver, database: string, directory: string): Promise<StoreCheckRow> {
  const run = async (cypher: string, parameters: Record<string, unknown> = {}) => {
    await using session = driver.session({ database });
    return (await session.run(cypher, parameters)).records;
  };
  const fill = async (file: ExportFile, cypher: string, parse: (line: unknown) => Record<string, unknown>) => {
    let done = 0;
    for await (const lines of batches(join(directory, exportPath(file)))) {
      const [record] = await run(cypher, { rows: lines.map(parse) });
      done += Number(record?.get("done"));
    }
    return done;
  };
  try {
    const expected = summary.parse(JSON.parse(await readFile(join(directory, exportPath("summary")), "utf8")));
    await run(`CREATE RANGE INDEX ${OWN} FOR (n:${OWN}) ON (n.${OWN})`);
    const nodes = await fill("nodes", CREATE_NODES, (line) => {
      const { id, labels, properties: found } = nodeLine.parse(line);
      return { id, labels, properties: decoded(found) };
    });
    await run("CALL db.awaitIndexes()");
    const relationships = await fill("relationships", CREATE_RELATIONSHIPS, (line) => {
      const { from, to, type, properties: found } = relationshipLine.parse(line);
      return { from, to, type, properties: decoded(found) };
    });
    await run(`MATCH (n:${OWN}) CALL (n) { REMOVE n:${OWN}, n.${OWN} } IN TRANSACTIONS OF 10000 ROWS`);
    await run(`DROP INDEX ${OWN}`);
    for await (const lines of batches(join(directory, exportPath("schema")))) {
      for (const line of lines) await run(schemaLine.parse(line).statement);
    }
    const whole = nodes === expected.nodes && relationships === expected.relationships;
    const detail = `imported ${nodes} of ${expected.nodes} nodes, ${relationships} of ${expected.relationships} relationships`;
    return { name: "import", verdict: whole ? "pass" : "fail", detail };
  } catch (error) {
    throw boltError(error, {
      what: "Cannot import an export into Neo4j",
      where: directory,
      otherwise: "SANDBOX_FAILED",
    });
  }
}

function decoded(found: Record<string, JsonValue>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(found).map(([key, value]) => [key, fromJson(value)]));
}

async function* batches(path: string): AsyncGenerator<unknown[]> {
  let lines: unknown[] = [];
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })) {
    lines.push(JSON.parse(line));
    if (lines.length < BATCH) continue;
    yield lines;
    lines = [];
  }
  if (lines.length > 0) yield lines;
}
