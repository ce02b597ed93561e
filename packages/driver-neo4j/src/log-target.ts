import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { LogRange } from "@stillpoint/contracts/log";
import { toInstant } from "@stillpoint/contracts/names";
import type { Mark } from "@stillpoint/contracts/point";
import { type LogTarget, type Reached, reachTarget } from "./log-reach.ts";
import { type LogByte, placeOf } from "./log-token.ts";
import type { PhysicalDetail, StoreMark } from "./mark-detail.ts";
import { logDirectory, neostorePath, readCheckpointFiles } from "./store-capture.ts";
import { readDatabaseId } from "./store-id.ts";
import { storeMarkOf } from "./store-mark.ts";
import { systemAt } from "./system-mark.ts";

export type MarkAtOptions = {
  cutId: string;
  signal: AbortSignal;
  /** How far the log goes that was laid over the base. */
  shippedTo?: string | undefined;
  /** Of a point: its mark's place. Users and rights are as of there, not as of the last transaction. */
  marked?: string | undefined;
};

/**
 * The mark that a restore from a base and its shipped log goes to. `directory` holds the base's tree, with the closed
 * stretches and tails laid over it; `base` is what the base said that it covers. INVALID_REQUEST: the target is outside
 * of what is there. VERIFICATION_FAILED: the log has a hole, or does not continue this base.
 */
export async function markAt(
  directory: string,
  base: Pick<LogRange, "to">,
  target: LogTarget,
  { cutId, signal, shippedTo, marked }: MarkAtOptions,
): Promise<Mark> {
  const data = join(directory, "data");
  const database = await databaseIn(data);
  const end = placeOf(base.to);
  const { store, committedMs } = await storeAt(data, database, end, target, signal);
  const upTo = placeOf(marked ?? shippedTo ?? base.to).system;
  const until = marked === undefined ? momentOf(target, committedMs) : { byte: upTo };
  const system = await systemAt(data, { floor: end.system, upTo, until }, signal);
  const databaseId = (await readDatabaseId(neostorePath(data, database))) ?? "";
  const detail: PhysicalDetail = { format: "physical", databaseId, ...store, system: system.store };
  const when = committedMs === undefined ? [] : [`its last transaction was committed at ${toInstant(committedMs)}`];
  return { cutId, position: `tx ${store.txId}`, detail, notes: [...when, ...system.notes] };
}

function momentOf(target: LogTarget, committedMs = 0): { ms: number } | undefined {
  if (target.to === "newest") return undefined;
  return { ms: target.to === "moment" ? target.ms : committedMs };
}

export async function databaseIn(data: string): Promise<string> {
  const names = (await readdir(join(data, "databases"))).filter((name) => name !== "system");
  const [database] = names;
  if (database !== undefined && names.length === 1) return database;
  throw new StillpointError("VERIFICATION_FAILED", {
    what: "Cannot find a mark in a Neo4j log",
    where: data,
    why: `its base must hold one database beside system, and holds ${names.join(", ") || "none"}`,
    hint: "extract one full and its logs, in order, into an empty directory",
  });
}

async function storeAt(
  data: string,
  database: string,
  end: LogByte,
  target: LogTarget,
  signal: AbortSignal,
): Promise<{ store: StoreMark; committedMs: Reached["committedMs"] }> {
  const logs = logDirectory(data, database);
  const { newest, files } = await readCheckpointFiles(logs);
  const { floor, reached } = await reachTarget({ logs, first: newest.oldestLogVersion, end, target, signal });
  const { position, committedMs } = reached;
  return { store: storeMarkOf(database, { newest, files }, { position, floor: floor.txId }), committedMs };
}
