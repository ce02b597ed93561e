import { readFile } from "node:fs/promises";
import type { Mark } from "@stillpoint/contracts/point";
import type { StoreCheckRow } from "@stillpoint/contracts/query";
import neo4j, { type Driver } from "neo4j-driver";
import { z } from "zod";
import { readRows } from "./bolt.ts";
import { countQuery, runCounts } from "./counts.ts";
import { type RecoveryReport, recoveryReport } from "./recovery-report.ts";

const AWAIT_INDEXES_SECONDS = 3600;
const indexRow = z.object({ name: z.string(), state: z.string() });
const constraintRow = z.object({ name: z.string(), type: z.string(), ownedIndex: z.string().nullable() });

/**
 * Pure: the restored server must stand at the mark, and its own word on recovery must not contradict: it ended there, and every
 * transaction between its first and its last was applied.
 */
export function checkRecovery(
  markTxId: number,
  restoredTxId: number,
  report: RecoveryReport | undefined,
): StoreCheckRow {
  const replayed = report === undefined ? "nothing had to be replayed" : `${report.applied} transactions replayed`;
  const reached = report === undefined || report.lastTxId === markTxId;
  const skipped = report === undefined ? 0 : report.lastTxId - report.firstTxId + 1 - report.applied;
  const verdict = reached && skipped === 0 && restoredTxId === markTxId ? "pass" : "fail";
  const seen = reached ? restoredTxId : report.lastTxId;
  const without = skipped === 0 ? "" : `, and ${skipped} between its first and last were not`;
  const detail = `recovered to tx ${seen}, the mark is tx ${markTxId}; ${replayed}${without}`;
  return { name: "recovery", verdict, detail };
}

/** Pure: every count that the mark carries, and none besides. */
export function compareCounts(expected: Record<string, number>, found: Record<string, number>): StoreCheckRow {
  const names = [...new Set([...Object.keys(expected), ...Object.keys(found)])].sort();
  const differing = names.filter((name) => (expected[name] ?? 0) !== (found[name] ?? 0));
  const shown = differing.slice(0, 10).map((name) => `${name}: ${found[name] ?? 0} instead of ${expected[name] ?? 0}`);
  return differing.length === 0
    ? {
        name: "counts",
        verdict: "pass",
        detail: `${found["()"]} nodes, ${found["-[]->"]} relationships, as at the mark`,
      }
    : { name: "counts", verdict: "fail", detail: shown.join("; ") };
}

export async function checkCounts(driver: Driver, database: string, mark: Mark): Promise<StoreCheckRow[]> {
  if (mark.counts === undefined) return [];
  const { counts } = await runCounts(driver, database, await countQuery(driver, database));
  return [compareCounts(mark.counts, counts)];
}

export async function checkSchema(driver: Driver, database: string): Promise<StoreCheckRow[]> {
  await awaitIndexes(driver, database);
  const indexes = await readRows(driver, database, "SHOW INDEXES YIELD name, state");
  const constraints = await readRows(driver, database, "SHOW CONSTRAINTS YIELD name, type, ownedIndex");
  return judgeSchema(
    indexes.rows.map((row) => indexRow.parse(row)),
    constraints.rows.map((row) => constraintRow.parse(row)),
  );
}

/** Pure: every index serves, and every constraint that needs an index has one that does. */
export function judgeSchema(
  indexes: readonly z.infer<typeof indexRow>[],
  constraints: readonly z.infer<typeof constraintRow>[],
): StoreCheckRow[] {
  const online = new Set(indexes.filter(({ state }) => state === "ONLINE").map(({ name }) => name));
  const offline = indexes.filter(({ name }) => !online.has(name)).map(({ name, state }) => `${name} is ${state}`);
  const bare = constraints
    .filter(({ type, ownedIndex }) => /UNIQUE|KEY/.test(type) && !online.has(ownedIndex ?? ""))
    .map(({ name }) => `${name} has no index that serves`);
  const row = (name: string, all: number, wrong: string[]): StoreCheckRow =>
    wrong.length === 0
      ? { name, verdict: "pass", detail: `${all} ${name}` }
      : { name, verdict: "fail", detail: wrong.slice(0, 10).join("; ") };
  return [row("indexes", indexes.length, offline), row("constraints", constraints.length, bare)];
}

/** Indexes that were left out of the base, or are younger than its checkpoint, are made in the background. */
export async function awaitIndexes(driver: Driver, database: string): Promise<void> {
  try {
    await readRows(driver, database, `CALL db.awaitIndexes(${AWAIT_INDEXES_SECONDS})`);
  } catch (error) {
    // It throws when one failed to be made, or is not ready in time: SHOW INDEXES says so of each, by name.
    if (!(error instanceof neo4j.Neo4jError) || !error.code.startsWith("Neo.ClientError.Procedure")) throw error;
  }
}

export async function readRecoveryReport(debugLog: string, database: string): Promise<RecoveryReport | undefined> {
  return recoveryReport(await readFile(debugLog, "utf8"), database);
}
