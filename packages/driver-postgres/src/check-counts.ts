import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { escapeIdentifier } from "pg";
import { z } from "zod";
import { type Checked, type Finding, fail, pass, sample } from "./check.ts";
import { COUNTS_PATH, type RowCounts, rowCounts } from "./row-counts.ts";
import { rowOf } from "./rows.ts";

/** Whether there is anything to compare: transactions under way at the cut leave no count that is exact. */
export async function hasCounts(checked: Checked): Promise<boolean> {
  return (await read(checked)).counted.length > 0;
}

async function read({ directory, cutId }: Checked): Promise<RowCounts> {
  const counts = rowCounts.parse(JSON.parse(await readFile(join(directory, COUNTS_PATH), "utf8")));
  return counts.cutId === cutId ? counts : { cutId, counted: [], skipped: [] };
}

/** Rows of each table against those that the source had at the mark. */
export async function checkCounts(checked: Checked): Promise<Finding> {
  const { counted, skipped } = await read(checked);
  const different: string[] = [];
  let rows = 0;
  for (const [database = "", tables = []] of Object.entries(Object.groupBy(counted, (each) => each.database))) {
    await using connection = await checked.connect(database);
    for (const { schema, table, rows: expected } of tables) {
      const [answer] = await connection.query(
        `select count(*)::text as rows from only ${escapeIdentifier(schema)}.${escapeIdentifier(table)}`,
      );
      const { rows: found } = rowOf(answer, z.object({ rows: z.coerce.number() }));
      if (found !== expected)
        different.push(`${database}.${schema}.${table} has ${found} rows, the source had ${expected}`);
      rows += found;
    }
  }
  if (different.length > 0) return fail(sample(different));
  const left = skipped.length === 0 ? "" : `; not counted: ${sample(skipped.map(describe))}`;
  return pass(`${rows} rows in ${counted.length} tables, as at the source${left}`);
}

function describe({ database, schema, table, reason }: RowCounts["skipped"][number]): string {
  return `${database}.${schema}.${table} (${reason})`;
}
