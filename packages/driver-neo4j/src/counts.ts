import type { Driver } from "neo4j-driver";
import { z } from "zod";
import { readRows } from "./bolt.ts";
import { quoted } from "./locator.ts";

const nameRow = z.object({ name: z.string() });
const countRow = z.object({ name: z.string(), count: z.bigint() });
/** More labels and types than this are not counted one by one: the fence is not held for it. */
const MOST = 500;

/** What to count: a query that is answered from the server's counts alone, whatever the size of the graph. */
export type CountQuery = string;

/** Reads the labels and relationship types there are. Preparing the query once makes the next run of it quick. */
export async function countQuery(driver: Driver, database: string): Promise<CountQuery> {
  const names = async (cypher: string) =>
    (await readRows(driver, database, cypher)).rows.map((row) => nameRow.parse(row).name).sort();
  const labels = await names("CALL db.labels() YIELD label RETURN label AS name");
  const types = await names("CALL db.relationshipTypes() YIELD relationshipType RETURN relationshipType AS name");
  const each =
    labels.length + types.length > MOST
      ? []
      : [
          ...labels.map((label) => counting(`(:${label})`, `(n:${quoted(label)})`, "n")),
          ...types.map((type) => counting(`-[:${type}]->`, `()-[n:${quoted(type)}]->()`, "n")),
        ];
  return [counting("()", "(n)", "n"), counting("-[]->", "()-[n]->()", "n"), ...each].join("\nUNION ALL ");
}

function counting(name: string, pattern: string, variable: string): string {
  return `MATCH ${pattern} RETURN ${literal(name)} AS name, count(${variable}) AS count`;
}

function literal(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}

/** Counts by `(:Label)` and `-[:TYPE]->`, those that are not zero, and the bookmark behind them. */
export async function runCounts(
  driver: Driver,
  database: string,
  query: CountQuery,
): Promise<{ counts: Record<string, number>; bookmark: string }> {
  const { rows, bookmark } = await readRows(driver, database, query);
  const counts = rows.map((row) => countRow.parse(row)).map(({ name, count }) => [name, Number(count)] as const);
  return { counts: Object.fromEntries(counts), bookmark };
}
