import { access, chmod, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { LogRange, LogTarget } from "@stillpoint/contracts/log";
import type { Mark } from "@stillpoint/contracts/point";
import type { DriverContext } from "@stillpoint/driver/driver";
import { applyLayout, treeFiles } from "@stillpoint/driver/layout";
import type { LogPiece } from "@stillpoint/driver/recover";
import { BASE_PATH, parseBaseFacts } from "../base-facts.ts";
import { replayedBy } from "../foreign-places.ts";
import { giveTo, isolateTree } from "../isolate-tree.ts";
import { configuration, withoutTraces } from "../layout.ts";
import { type MarkDetail, parseMarkDetail } from "../mark-detail.ts";
import { recoveryTarget } from "../recover.ts";
import { LAID_OUT } from "../recovery-settings.ts";
import { recoveryMark } from "../recovery-target.ts";
import { serverProgram } from "../sandbox.ts";
import { ARCHIVE_COMMAND, ARCHIVE_PATH } from "./archive-client.ts";
import { pieceArchive } from "./piece-archive.ts";
import { type RunningRecovery, runRecovery } from "./run-recovery.ts";
import { serveArchive } from "./serve-archive.ts";
import { servedLog } from "./served-log.ts";

export type ServedRecovery = {
  /** Holds a base's tree and nothing else, or what an earlier call that was broken off has left of it. */
  directory: string;
  base: LogRange;
  /** From where the base's replay begins, in order and without a hole. */
  log: readonly LogPiece[];
  target: LogTarget;
  /** What the server does where it stopped. `pause`: it stands until it is told to go on, or the context's signal fires. */
  action: MarkDetail["action"];
  cutId: string;
  /** A file that is asked for and cannot be fetched is tried for so long before the server is ended. */
  patienceMs?: number;
  /** A file of the log was asked for, and is there. */
  taken?: (name: string) => void;
  /** The server stands at its target, and can be looked at there. */
  paused?: (server: RunningRecovery) => void;
};

export type Recovered = {
  mark: Mark;
  /** The server's own word for where it stopped. */
  recovered: string;
  version: string;
  /** It was opened, on a timeline of its own; else it is still in recovery, and can be told to go further. */
  opened: boolean;
};

const PATIENCE_MS = 60_000;
/** What lies ready takes so much disk, and never more files. */
const AHEAD_BYTES = 134_217_728;
const AHEAD_MOST = 8;
const AT_ONCE = 3;

/**
 * Starts the machine's own PostgreSQL on a base and recovers it to a target, with the log fetched as it goes. The server is
 * stopped when it resolves. It never opens early: where the log cannot be had it is ended, and the same call later goes on.
 */
export async function recoverServed(input: ServedRecovery, context: DriverContext): Promise<Recovered> {
  const { directory, base, log, action, patienceMs = PATIENCE_MS } = input;
  const { signal } = context;
  const facts = parseBaseFacts(await readFile(join(directory, BASE_PATH), "utf8"));
  const served = servedLog(base, log, facts.segmentBytes);
  const { timeline, at: until } = served.until;
  const target = recoveryTarget(input.target);
  const mark = recoveryMark(facts, { target, timeline, until, ancestry: served.ancestry, action }, input.cutId);
  const detail = parseMarkDetail(mark);
  checkAction(detail);
  const { bin, version } = await serverProgram(directory, context);
  const files = (await isThere(join(directory, "backup_label")))
    ? withoutTraces(await treeFiles(directory))
    : await goingOn(directory);
  await applyLayout(directory, [...files, ...configuration(detail, ARCHIVE_COMMAND)]);
  const end = async (opened: boolean) => {
    const steps = configuration(detail, LAID_OUT);
    const kept = opened ? steps.filter((step) => !("path" in step && step.path === "recovery.signal")) : steps;
    await applyLayout(directory, kept);
    await giveTo(isolation, context.directory, directory);
  };

  // A server that is told to end is stopped well: what it has recovered need not be recovered again.
  const { signal: neverEnded } = new AbortController();
  await using isolation = await isolateTree(directory, bin, { ...context, signal: neverEnded });
  const recovering = async () => {
    await using archive = await serveArchive({
      directory: join(directory, ARCHIVE_PATH),
      archive: pieceArchive(served, facts.segmentBytes, replayedBy(detail)),
      ahead: Math.max(1, Math.min(AHEAD_MOST, Math.floor(AHEAD_BYTES / facts.segmentBytes))),
      atOnce: AT_ONCE,
      patienceMs,
      account: isolation.account,
      monotonicMs: context.monotonicMs,
      ...(input.taken === undefined ? {} : { taken: input.taken }),
    });
    const where = { bin, directory, logs: context.directory, isolation, signal, failure: archive.failure };
    return await runRecovery(where, detail, input.paused);
  };
  const ended = await recovering();
  // Nobody fetches any more: what is given to the account holds still.
  await end(ended.opened);
  return { mark, version, ...ended };
}

/** What an earlier call has left: still in recovery, and nothing of a server that died. */
async function goingOn(directory: string) {
  if (await isThere(join(directory, "recovery.signal"))) {
    await rm(join(directory, "postmaster.pid"), { force: true });
    await chmod(directory, 0o700);
    return [];
  }
  throw new StillpointError("DESTINATION_NOT_EMPTY", {
    what: "Cannot recover this directory",
    where: directory,
    why: "the server in it was opened already",
    hint: "restore into an empty or new directory",
  });
}

/** Where there is nothing to stop at, PostgreSQL opens at the end of the log whatever is asked for. */
function checkAction({ action, target }: MarkDetail): void {
  if (action === "promote" || target.by !== "latest") return;
  throw new StillpointError("INVALID_REQUEST", {
    what: "Cannot recover PostgreSQL like this",
    where: `--action ${action}`,
    why: "at the end of the log PostgreSQL always opens: there is no target that it could stop at",
    hint: "name a time, an LSN, a transaction or a restore point",
  });
}

async function isThere(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return false;
    throw error;
  }
}
