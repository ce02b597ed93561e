import { basename } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import { z } from "zod";

const count = z.coerce.number().int().nonnegative();
const row = z.object({
  FILE: z.string().min(1),
  DATABASE: z.string().min(1),
  FULL: z.enum(["true", "false"]),
  "LOWEST TX": count,
  "HIGHEST TX": count,
});

/** A file of `neo4j-admin database backup`. */
export type Artifact = { file: string; database: string; isFull: boolean; lowestTx: number; highestTx: number };

/** Pure: the table that the tool prints of a directory, by the names of its columns. */
export function parseArtifacts(printed: string): Artifact[] {
  const lines = printed.split("\n").filter((line) => line.trimStart().startsWith("|"));
  const cells = (line: string) =>
    line
      .trim()
      .replace(/^\||\|$/g, "")
      .split("|")
      .map((cell) => cell.trim());
  const [head, ...rows] = lines.map(cells);
  return rows.map((each) => {
    const found = row.safeParse(Object.fromEntries((head ?? []).map((name, i) => [name, each[i]])));
    if (found.success) {
      const { FILE, DATABASE, FULL } = found.data;
      const [lowestTx, highestTx] = [found.data["LOWEST TX"], found.data["HIGHEST TX"]];
      return { file: basename(FILE), database: DATABASE, isFull: FULL === "true", lowestTx, highestTx };
    }
    throw new StillpointError("FORMAT_UNKNOWN", {
      what: "Cannot read what neo4j-admin says of its backups",
      where: each.join(" | "),
      why: z.prettifyError(found.error),
      hint: "it was made by a version of neo4j-admin that is not known",
    });
  });
}

/**
 * Pure: the chain of a database from its full on, without a hole, that reaches a transaction. SOURCE_CHANGED where there is
 * none: what was asked for did not come.
 */
export function chainTo(artifacts: readonly Artifact[], database: string, txId: number): Artifact[] {
  const own = artifacts.filter((each) => each.database === database);
  own.sort((a, b) => a.lowestTx - b.lowestTx || Number(b.isFull) - Number(a.isFull));
  const full = own.findLast((each) => each.isFull && each.highestTx <= txId);
  if (full === undefined) throw unreached(database, `no full backup of it ends at or before tx ${txId}`);
  const chain = [full];
  let end = full.highestTx;
  for (const each of own) {
    if (each.isFull || each.highestTx <= end || end >= txId) continue;
    if (each.lowestTx > end + 1)
      throw unreached(database, `transactions ${end + 1} to ${each.lowestTx - 1} are in none`);
    chain.push(each);
    end = each.highestTx;
  }
  if (end < txId) throw unreached(database, `they end with tx ${end}, and tx ${txId} is wanted`);
  return chain;
}

function unreached(where: string, why: string): StillpointError {
  return new StillpointError("SOURCE_CHANGED", {
    what: "The files of neo4j-admin do not reach the mark",
    where,
    why,
    hint: "the server removed its log before it was asked for: keep it longer by db.tx_log.rotation.retention_policy",
  });
}
