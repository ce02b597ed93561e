import type { StoreCheckRow } from "@stillpoint/contracts/query";
import type { Connection } from "./connection.ts";

/** What a check of a restored server may use. */
export type Checked = {
  /** The laid-out directory that the server runs on. */
  directory: string;
  cutId: string;
  /** Libraries that the data needs loaded at the start. */
  preload: readonly string[];
  /** As the bootstrap user. Without a name: the database of the source's url. */
  connect: (database?: string) => Promise<Connection>;
  /** Runs one of PostgreSQL's programs beside the server; what it said last, and how it ended. */
  run: (program: string, args: readonly string[], env?: Record<string, string>) => Promise<ProgramResult>;
};
export type ProgramResult = { code: number | null; words: string } | "missing";

export type Finding = Omit<StoreCheckRow, "name">;

export function pass(detail: string): Finding {
  return { verdict: "pass", detail };
}

export function fail(detail: string): Finding {
  return { verdict: "fail", detail };
}

/** The check itself could not be made: nothing is known. */
export function inconclusive(detail: string): Finding {
  return { verdict: "inconclusive", detail };
}

/** A few of many, for a detail that people read. */
export function sample(names: readonly string[]): string {
  return names.length <= 5 ? names.join(", ") : `${names.slice(0, 5).join(", ")} and ${names.length - 5} more`;
}
