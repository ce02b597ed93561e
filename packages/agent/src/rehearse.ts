import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { rehearseSource } from "@stillpoint/contracts/commands";
import { type ErrorBody, toStillpointError } from "@stillpoint/contracts/errors";
import type { rehearsalFinished } from "@stillpoint/contracts/events";
import type { Query, QueryRow } from "@stillpoint/contracts/query";
import type { Driver, DriverContext, Sandbox } from "@stillpoint/driver/driver";
import { claimDirectory } from "@stillpoint/driver/sandbox-record";
import type { z } from "zod";
import { bytesToReplay } from "./replay-work.ts";
import { extractTars, readVaultLog, restoreTree } from "./restore-tree.ts";
import { vaultClient } from "./vault-client.ts";

export type Rehearsal = z.output<typeof rehearseSource.body>;
type Finished = Omit<z.input<typeof rehearsalFinished.body>, "at">;

export type RehearsalPorts = {
  driver: Driver;
  /** An own, empty place for each directory that is asked for. */
  context: (directory: string, signal: AbortSignal) => DriverContext;
  workDirectory: string;
  monotonicMs: () => number;
  report: (step: "restore" | "start" | "check", bytes: number) => void;
};

/**
 * Restores one source into a throw-away server, answers the queries beside it, and ends it. Waits for no other source.
 * Whatever happens, the server is stopped and its directory removed before this resolves.
 */
export async function rehearse(rehearsal: Rehearsal, ports: RehearsalPorts, outer: AbortSignal): Promise<Finished> {
  const signal = AbortSignal.any([outer, AbortSignal.timeout(rehearsal.timeoutMs)]);
  const startedMs = ports.monotonicMs();
  await using home = await claimDirectory(ports.workDirectory, "rehearsal");
  // Servers run as an account of their own, which must get through to what it is given.
  await chmod(home.path, 0o711);
  const tree = join(home.path, "tree");
  const own = join(home.path, "own");
  await mkdir(own, { mode: 0o700 });
  let bytes = 0;
  let logBytes = 0;
  const progress = (more: number) => {
    bytes += more;
    ports.report("restore", bytes);
  };
  const vault = vaultClient(rehearsal.vaultUrl, rehearsal.ticket, signal);
  const log = {
    getLog: vault.getLog,
    async *getBackup(backupId: string, path?: string) {
      for await (const chunk of vault.getBackup(backupId, path)) {
        logBytes += bytesToReplay(chunk);
        yield chunk;
      }
    },
    async getTail(id: string) {
      const bytes = await vault.getTail(id);
      logBytes += bytesToReplay(bytes);
      return bytes;
    },
  };
  const { mark } = await restoreTree(tree, rehearsal.backups, rehearsal.mark, {
    extract: extractTars((backupId) => vault.getBackup(backupId)),
    driver: ports.driver,
    readLog: readVaultLog(log, rehearsal, progress),
    signal,
    keepOwners: false,
    progress,
  });
  ports.report("start", bytes);
  const startMs = ports.monotonicMs();
  await using sandbox = await ports.driver.start(
    { directory: tree, mark, runtime: rehearsal.runtime },
    ports.context(own, signal),
  );
  const restoreMs = ports.monotonicMs() - startedMs;
  const replay = { bytes: logBytes, ms: Math.max(1, ports.monotonicMs() - startMs) };
  ports.report("check", bytes);
  const egress = await sandbox.probeEgress(rehearsal.addresses);
  const { answered, failed } = await answerAll(rehearsal, sandbox, signal);
  return {
    proofId: rehearsal.proofId,
    pointId: rehearsal.pointId,
    source: rehearsal.source,
    version: sandbox.version,
    recovered: sandbox.recovered,
    restoreMs,
    ...(mark.log === undefined ? {} : { replay }),
    ms: ports.monotonicMs() - startedMs,
    answered,
    failed,
    egress,
    notes: mark.notes,
  };
}

/** One query that cannot be answered leaves the others alone: its check is open, not the whole proof lost. */
async function answerAll(rehearsal: Rehearsal, sandbox: Sandbox, signal: AbortSignal) {
  const results = vaultClient(rehearsal.resultsUrl, rehearsal.ticket, signal);
  const answered: string[] = [];
  const failed: { id: string; error: ErrorBody }[] = [];
  for (const query of rehearsal.queries) {
    try {
      await results.putResult(rehearsal.proofId, rehearsal.source, query.id, ndjson(sandbox, query));
      answered.push(query.id);
    } catch (error) {
      signal.throwIfAborted();
      failed.push({ id: query.id, error: toStillpointError(error, `Cannot answer ${query.id}`).toBody() });
    }
  }
  return { answered, failed };
}

const LINES_BYTES = 64 * 1024;

async function* ndjson(sandbox: Sandbox, query: Query): AsyncGenerator<Uint8Array> {
  let lines = "";
  const rows: AsyncIterable<QueryRow> = sandbox.query(query);
  for await (const row of rows) {
    lines += `${JSON.stringify(row)}\n`;
    if (lines.length >= LINES_BYTES) {
      yield Buffer.from(lines);
      lines = "";
    }
  }
  if (lines !== "") yield Buffer.from(lines);
}
