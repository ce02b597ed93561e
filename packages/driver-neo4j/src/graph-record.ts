import { z } from "zod";
import { fromJson, type JsonValue } from "./property-value.ts";

const properties = z
  .record(z.string(), z.json())
  .transform((found) =>
    Object.fromEntries(Object.entries(found).map(([key, value]: [string, JsonValue]) => [key, fromJson(value)])),
  );

/** The identity of a node holds within one export only: relationships name their ends by it. */
export const nodeRecord = z.object({ id: z.string(), labels: z.array(z.string()), properties });
export const relationshipRecord = z.object({ from: z.string(), to: z.string(), type: z.string(), properties });
export const schemaRecord = z.object({ statement: z.string() });

/** A part of a graph, with properties as the client wants them. Nodes come first, then relationships, then the schema. */
export type GraphRecord =
  | { kind: "nodes"; row: z.infer<typeof nodeRecord> }
  | { kind: "relationships"; row: z.infer<typeof relationshipRecord> }
  | { kind: "schema"; row: z.infer<typeof schemaRecord> };

export type GraphKind = GraphRecord["kind"];
export const GRAPH_KINDS = ["nodes", "relationships", "schema"] as const satisfies readonly GraphKind[];

/** How many there are of each. */
export const graphCounts = z.object({ nodes: z.number(), relationships: z.number(), schema: z.number() });
export type GraphCounts = z.infer<typeof graphCounts>;

/** What to ask a server for, in rows of the shape above. */
export const GRAPH_QUERIES: Record<GraphKind, string[]> = {
  nodes: ["MATCH (n) RETURN elementId(n) AS id, labels(n) AS labels, properties(n) AS properties"],
  relationships: [
    "MATCH (from)-[r]->(to) RETURN elementId(from) AS from, elementId(to) AS to, type(r) AS type, properties(r) AS properties",
  ],
  schema: [
    "SHOW INDEXES YIELD createStatement, owningConstraint, type " +
      "WHERE owningConstraint IS NULL AND type <> 'LOOKUP' RETURN createStatement AS statement",
    "SHOW CONSTRAINTS YIELD createStatement RETURN createStatement AS statement",
  ],
};

/** One row of a kind, from the JSON of its line. */
export function graphRecord(kind: GraphKind, line: unknown): GraphRecord {
  switch (kind) {
    case "nodes":
      return { kind, row: nodeRecord.parse(line) };
    case "relationships":
      return { kind, row: relationshipRecord.parse(line) };
    case "schema":
      return { kind, row: schemaRecord.parse(line) };
  }
}
