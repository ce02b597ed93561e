import { StillpointError } from "@stillpoint/contracts/errors";
import type { StoreCheckRow } from "@stillpoint/contracts/query";
import { type Checked, type Finding, fail } from "./check.ts";
import { checkCollations } from "./check-collations.ts";
import { checkCounts, hasCounts } from "./check-counts.ts";
import { checkDump } from "./check-dump.ts";
import { checkIndexes } from "./check-indexes.ts";
import { checkSlots, checkWorkers } from "./check-silence.ts";

/** What was found out while the server came up. */
export type StartFindings = { recovery: Finding; manifest: Finding };

/** PostgreSQL's own checks of a restored server, one after the other: the dearest come last. */
export async function* storeChecks(checked: Checked, found: StartFindings): AsyncGenerator<StoreCheckRow, void, void> {
  yield { name: "recovered to the mark", ...found.recovery };
  yield { name: "base as its manifest says", ...found.manifest };
  yield await row("replication slots", () => checkSlots(checked));
  yield await row("archiver, replication and jobs", () => checkWorkers(checked));
  yield await row("collations", () => checkCollations(checked));
  if (await hasCounts(checked)) yield await row("row counts", () => checkCounts(checked));
  yield await row("B-tree indexes (amcheck)", () => checkIndexes(checked));
  yield await row("dump (pg_dump)", () => checkDump(checked));
}

/** Of a server that dumps were loaded into; each index was made anew as it was loaded. */
export async function* dumpChecks(checked: Checked, loaded: Finding): AsyncGenerator<StoreCheckRow, void, void> {
  yield { name: "dumps loaded", ...loaded };
  yield await row("archiver, replication and jobs", () => checkWorkers(checked));
  if (await hasCounts(checked)) yield await row("row counts", () => checkCounts(checked));
}

async function row(name: string, check: () => Promise<Finding>): Promise<StoreCheckRow> {
  try {
    return { name, ...(await check()) };
  } catch (error) {
    if (error instanceof StillpointError && error.code === "CANCELLED") throw error;
    // What a sound server answers, a restored one must answer too.
    return { name, ...fail(error instanceof Error ? error.message : String(error)) };
  }
}
