import { Readable } from "node:stream";
import type { DriverContext } from "@stillpoint/driver/driver";
import type { TreeWriter } from "@stillpoint/driver/tree";
import type { Transaction } from "neo4j-driver";
import { boltError, readSession } from "./bolt.ts";
import type { BoltSource } from "./bolt-source.ts";
import { GRAPH_KINDS, GRAPH_QUERIES, type GraphKind } from "./graph-record.ts";
import { toJson } from "./property-value.ts";

/** The files of an export, one JSON object a line. */
export function exportPath(file: GraphKind | "summary"): string {
  return file === "summary" ? "export/summary.json" : `export/${file}.ndjson`;
}

/** So much of a file is in memory at once: a tar must know the size of an entry before it begins. */
const PIECE_CHARACTERS = 4 * 1024 * 1024;

/** Exports in one read transaction, a piece of a file after the other. */
export async function exportTree(source: BoltSource, tree: TreeWriter, context: DriverContext): Promise<void> {
  const session = readSession(source.driver, source.database);
  const summary: Record<string, unknown> = { format: 1, version: source.facts.version, database: source.database };
  const add = async (path: string, offset: number, text: string) => {
    const bytes = Buffer.from(text);
    const place = offset > 0 ? { offset } : {};
    const metadata = { path, mode: 0o600, mtimeMs: context.now(), size: bytes.length, hint: "content" } as const;
    await tree.add({ type: "file", ...metadata, ...place }, Readable.from([bytes]));
    return bytes.length;
  };
  try {
    const transaction = await session.beginTransaction();
    for (const file of GRAPH_KINDS) {
      let lines = 0;
      let offset = 0;
      for await (const piece of piecesOf(linesOf(transaction, GRAPH_QUERIES[file]))) {
        context.signal.throwIfAborted();
        lines += piece.length;
        offset += await add(exportPath(file), offset, piece.join(""));
      }
      if (offset === 0) await add(exportPath(file), 0, "");
      summary[file] = lines;
    }
    await transaction.commit();
  } catch (error) {
    throw boltError(error, { what: "Cannot export the Neo4j database", where: source.where });
  } finally {
    await session.close();
  }
  await add(exportPath("summary"), 0, `${JSON.stringify(summary)}\n`);
}

async function* piecesOf(lines: AsyncIterable<string>): AsyncGenerator<string[]> {
  let piece: string[] = [];
  let characters = 0;
  for await (const line of lines) {
    piece.push(line);
    characters += line.length;
    if (characters < PIECE_CHARACTERS) continue;
    yield piece;
    piece = [];
    characters = 0;
  }
  if (piece.length > 0) yield piece;
}

async function* linesOf(transaction: Transaction, queries: readonly string[]): AsyncGenerator<string> {
  for (const cypher of queries) {
    for await (const record of transaction.run(cypher)) yield `${JSON.stringify(toJson(record.toObject()))}\n`;
  }
}
