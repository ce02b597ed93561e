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
import { GRAPH_KINDS, GRAPH_QUERIES, type GraphKind } from "./graph-record.ts";
import { toJson } from "./property-value.ts";

/** The files of an export, one JSON object a line. */
export function exportPath(file: GraphKind | "summary"): string {
  return file === "summary" ? "export/summary.json" : `export/${file}.ndjson`;
}

/** Exports in one read transaction. A tar must know sizes beforehand, so each file lies on disk for a while. */
export async function exportTree(source: BoltSource, tree: TreeWriter, context: DriverContext): Promise<void> {
  const session = readSession(source.driver, source.database);
  const summary: Record<string, unknown> = { format: 1, version: source.facts.version, database: source.database };
  try {
    const transaction = await session.beginTransaction();
    for (const file of GRAPH_KINDS) {
      const path = join(context.directory, `${file}.ndjson`);
      let lines = 0;
      const counted = async function* () {
        for await (const line of linesOf(transaction, GRAPH_QUERIES[file])) {
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
