import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { StoreCheckRow } from "@stillpoint/contracts/query";
import { jsonLines } from "@stillpoint/driver/json-lines";
import type { Driver } from "neo4j-driver";
import { boltError } from "./bolt.ts";
import { exportPath } from "./export-tree.ts";
import { GRAPH_KINDS, graphCounts, graphRecord } from "./graph-record.ts";
import { type LoadedRecord, loadRecords } from "./load-graph.ts";

/** Fills an empty database from an export, and says whether all that it holds came in. */
export async function importTree(driver: Driver, database: string, directory: string): Promise<StoreCheckRow> {
  try {
    const expected = graphCounts.parse(JSON.parse(await readFile(join(directory, exportPath("summary")), "utf8")));
    const { nodes, relationships } = await loadRecords(driver, database, recordsIn(directory));
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

async function* recordsIn(directory: string): AsyncGenerator<LoadedRecord> {
  for (const kind of GRAPH_KINDS) {
    const input = createReadStream(join(directory, exportPath(kind)));
    for await (const line of jsonLines(input)) {
      yield { record: graphRecord(kind, JSON.parse(line)), characters: line.length };
    }
  }
}
