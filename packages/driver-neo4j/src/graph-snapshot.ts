import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import { jsonLines } from "@stillpoint/driver/json-lines";
import type { Driver } from "neo4j-driver";
import { z } from "zod";
import { boltError, readRows, readSession } from "./bolt.ts";
import { GRAPH_KINDS, GRAPH_QUERIES, type GraphCounts, graphCounts, graphRecord } from "./graph-record.ts";
import { type LoadedRecord, loadRecords } from "./load-graph.ts";
import { toJson } from "./property-value.ts";

/** Grows with the meaning of the lines. */
const FORMAT = 1;
const header = z.object({ graph: z.number(), server: z.string(), database: z.string() });
const line = z.union([
  z.object({ nodes: z.unknown() }),
  z.object({ relationships: z.unknown() }),
  z.object({ schema: z.unknown() }),
  z.object({ end: graphCounts }),
]);

/**
 * A database as lines of JSON, each a whole document: a header, then nodes, relationships, indexes and constraints, then
 * the counts, without which it was cut off. Read in one transaction, a batch at a time; of a server that is written
 * meanwhile it is not at one moment, for the store reads what is committed when it comes to it.
 */
export async function* graphLines(driver: Driver, database: string, server: string): AsyncGenerator<string> {
  const session = readSession(driver, database);
  const counts: GraphCounts = { nodes: 0, relationships: 0, schema: 0 };
  try {
    yield `${JSON.stringify({ graph: FORMAT, server, database } satisfies z.infer<typeof header>)}\n`;
    const transaction = await session.beginTransaction();
    for (const kind of GRAPH_KINDS) {
      for (const cypher of GRAPH_QUERIES[kind]) {
        for await (const record of transaction.run(cypher)) {
          counts[kind] += 1;
          yield `${JSON.stringify({ [kind]: toJson(record.toObject()) })}\n`;
        }
      }
    }
    await transaction.commit();
    yield `${JSON.stringify({ end: counts })}\n`;
  } catch (error) {
    throw boltError(error, { what: "Cannot export the Neo4j database", where: database });
  } finally {
    await session.close();
  }
}

/** The same lines of what a capture over Bolt exported into a directory: its files are of one kind each, and its counts apart. */
export async function* exportLines(directory: string, signal: AbortSignal): AsyncGenerator<string> {
  const summary = exportSummary.parse(JSON.parse(await readFile(join(directory, "summary.json"), "utf8")));
  const { version: server, database, nodes, relationships, schema } = summary;
  yield `${JSON.stringify({ graph: FORMAT, server, database } satisfies z.infer<typeof header>)}\n`;
  for (const kind of GRAPH_KINDS) {
    const bytes = createReadStream(join(directory, `${kind}.ndjson`), { signal });
    for await (const text of jsonLines(bytes)) if (text !== "") yield `{"${kind}":${text}}\n`;
  }
  yield `${JSON.stringify({ end: { nodes, relationships, schema } })}\n`;
}

const exportSummary = graphCounts.extend({ format: z.literal(1), version: z.string(), database: z.string() });

/** Fills an empty database from such lines. Throws before anything is written where the database is not empty. */
export async function loadGraph(driver: Driver, database: string, lines: AsyncIterable<string>): Promise<GraphCounts> {
  try {
    await requireEmpty(driver, database);
    const expected: { counts?: GraphCounts } = {};
    const done = await loadRecords(
      driver,
      database,
      recordsOf(lines, (counts) => {
        expected.counts = counts;
      }),
    );
    for (const kind of GRAPH_KINDS) {
      if (done[kind] === expected.counts?.[kind]) continue;
      throw invalid(`${done[kind]} of ${expected.counts?.[kind]} ${kind} came in`, "VERIFICATION_FAILED");
    }
    return done;
  } catch (error) {
    if (error instanceof z.ZodError) throw invalid(z.prettifyError(error));
    throw boltError(error, { what: "Cannot load a graph into Neo4j", where: database });
  }
}

async function* recordsOf(
  lines: AsyncIterable<string>,
  ended: (counts: GraphCounts) => void,
): AsyncGenerator<LoadedRecord> {
  let begun = false;
  let end = false;
  for await (const text of lines) {
    if (text.trim() === "") continue;
    if (end) throw invalid("something follows its end");
    const json = parsed(text);
    if (!begun) {
      const { graph } = header.parse(json);
      if (graph !== FORMAT) throw invalid(`it is of format ${graph}, and only ${FORMAT} is known`, "FORMAT_UNKNOWN");
      begun = true;
      continue;
    }
    const found = line.parse(json);
    if ("end" in found) {
      ended(found.end);
      end = true;
    } else if ("nodes" in found) yield { record: graphRecord("nodes", found.nodes), characters: text.length };
    else if ("relationships" in found) {
      yield { record: graphRecord("relationships", found.relationships), characters: text.length };
    } else yield { record: graphRecord("schema", found.schema), characters: text.length };
  }
  if (!end) throw cutOff();
}

export function cutOff(where?: string): StillpointError {
  return invalid("it was cut off: its last line, with the counts, is missing", "VERIFICATION_FAILED", undefined, where);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw invalid(`a line is no JSON: ${text.slice(0, 80)}`, "INVALID_REQUEST", cause);
  }
}

const count = z.object({ count: z.bigint() });

async function requireEmpty(driver: Driver, database: string): Promise<void> {
  for (const [what, cypher] of [
    ["nodes", "MATCH (n) RETURN count(n) AS count"],
    ["indexes", "SHOW INDEXES YIELD type WHERE type <> 'LOOKUP' RETURN count(*) AS count"],
    ["constraints", "SHOW CONSTRAINTS YIELD name RETURN count(*) AS count"],
  ] as const) {
    const { rows } = await readRows(driver, database, cypher);
    const found = count.parse(rows[0]).count;
    if (found > 0n) throw invalid(`the database is not empty: it holds ${found} ${what}`);
  }
}

function invalid(
  why: string,
  code: "INVALID_REQUEST" | "VERIFICATION_FAILED" | "FORMAT_UNKNOWN" = "INVALID_REQUEST",
  cause?: unknown,
  where?: string,
): StillpointError {
  return new StillpointError(code, {
    what: "Cannot load a graph into Neo4j",
    where,
    why,
    hint: "load a whole file that a graph export wrote into a new, empty database",
    cause,
  });
}
