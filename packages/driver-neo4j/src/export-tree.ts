import { createReadStream, createWriteStream } from "node:fs";
import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { DriverContext } from "@stillpoint/driver/driver";
import type { TreeWriter } from "@stillpoint/driver/tree";
import type { Transaction } from "neo4j-driver";
import { boltError, readSession } from "./bolt.ts";
import type { BoltSource } from "./bolt-source.ts";
import { fileEntry } from "./file-entry.ts";
import { toJson } from "./property-value.ts";

/** The files of an export, one JSON object a line; import goes in this order. */
export const EXPORT_FILES = ["schema", "nodes", "relationships"] as const;
export type ExportFile = (typeof EXPORT_FILES)[number];

export function exportPath(file: ExportFile | "summary"): string {
  return file === "summary" ? "export/summary.json" : `export/${file}.ndjson`;
}

const QUERIES: Record<ExportFile, string[]> = {
  schema: [
    "SHOW INDEXES YIELD createStatement, owningConstraint, type " +
      "WHERE owningConstraint IS NULL AND type <> 'LOOKUP' RETURN createStatement AS statement",
    "SHOW CONSTRAINTS YIELD createStatement RETURN createStatement AS statement",
  ],
  nodes: ["MATCH (n) RETURN elementId(n) AS id, labels(n) AS labels, properties(n) AS properties"],
  relationships: [
    "MATCH (from)-[r]->(to) RETURN elementId(from) AS from, elementId(to) AS to, type(r) AS type, properties(r) AS properties",
  ],
};

/** Exports in one read transaction. A tar must know sizes beforehand, so each file lies on disk for a while. */
export async function exportTree(source: BoltSource, tree: TreeWriter, context: DriverContext): Promise<void> {
  const session = readSession(source.driver, source.database);
  const summary: Record<string, unknown> = { format: 1, version: source.facts.version, database: source.database };
  try {
    const transaction = await session.beginTransaction();
    for (const file of EXPORT_FILES) {
      const path = join(context.directory, `${file}.ndjson`);
      let lines = 0;
      const counted = async function* () {
        for await (const line of linesOf(transaction, QUERIES[file])) {
          lines += 1;
          yield line;
        }
      };
      await pipeline(Readable.from(counted()), createWriteStream(path, { mode: 0o600 }), { signal: context.signal });
      summary[file] = lines;
      await addFile(tree, path, exportPath(file));
    }
    await transaction.commit();
  } catch (error) {
    throw boltError(error, { what: "Cannot export the Neo4j database", where: source.where });
  } finally {
    await session.close();
  }
  const bytes = Buffer.from(`${JSON.stringify(summary)}\n`);
  const metadata = { mode: 0o600, mtimeMs: context.now() };
  await tree.add(
    { type: "file", path: exportPath("summary"), ...metadata, size: bytes.length, hint: "content" },
    Readable.from([bytes]),
  );
}

async function* linesOf(transaction: Transaction, queries: readonly string[]): AsyncGenerator<string> {
  for (const cypher of queries) {
    for await (const record of transaction.run(cypher)) yield `${JSON.stringify(toJson(record.toObject()))}\n`;
  }
}

async function addFile(tree: TreeWriter, from: string, path: string): Promise<void> {
  const stats = await stat(from);
  await tree.add(fileEntry({ path, stats, hint: "content" }), createReadStream(from));
  await rm(from);
}
