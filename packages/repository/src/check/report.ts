import { StillpointError } from "@stillpoint/contracts/errors";
import type { RepositoryContext } from "../repository-context.ts";

/** One thing that is not as it must be, and what it hurts as far as that is known. */
export type Problem = { object: string; why: string; backups: string[]; points: string[] };
/** The first read was not what was stored, the second one was: the way to the store, or the store, is not well. */
export type Transient = { object: string; why: string };

export type CheckReport = {
  problems: Problem[];
  transient: Transient[];
  packs: number;
  /** Places of chunks: one that lies in two packs counts twice. */
  chunks: number;
  backups: number;
  points: number;
  /** Packs that were read to the last byte, every chunk opened; and their bytes. */
  readPacks: number;
  readBytes: number;
  /** Packs that no index lists: left behind by a backup that broke off, or under way. No problem. */
  unlistedPacks: number;
};

export type CheckProgress = {
  step: "objects" | "packs" | "data" | "backups" | "points";
  done: number;
  /** As far as it is known. */
  total?: number | undefined;
  bytes: number;
};

/** What is wrong with one object, by the error that reading it gave; anything else is a failure of the check itself. */
export function damageOf(error: unknown, object: string): { object: string; why: string } {
  if (!(error instanceof StillpointError)) throw error;
  if (!["OBJECT_DAMAGED", "OBJECT_MISSING", "BACKUP_UNKNOWN", "FORMAT_UNKNOWN"].includes(error.code)) throw error;
  return {
    object: error.code === "OBJECT_DAMAGED" ? (error.where ?? object) : object,
    why: error.why ?? error.what,
  };
}

/** What was found so far, by object: one that is damaged in several ways is told once. */
export function findings({ store }: Pick<RepositoryContext, "store">) {
  const problems = new Map<string, Problem>();
  const transient: Transient[] = [];
  return {
    store,
    problems,
    transient,
    blame({ object, why }: { object: string; why: string }, backupId?: string): Problem {
      const problem = problems.get(object) ?? { object, why, backups: [], points: [] };
      problems.set(object, problem);
      if (backupId !== undefined && !problem.backups.includes(backupId)) problem.backups.push(backupId);
      return problem;
    },
  };
}
export type Findings = ReturnType<typeof findings>;
