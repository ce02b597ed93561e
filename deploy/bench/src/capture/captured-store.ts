import type { PlanInput } from "@stillpoint/contracts/plan";

/** What a store's own program does to copy it. */
export type NativeTool = {
  name: string;
  /** Leaves all that it makes below the directory, which is its own from the first time to the last. */
  full: (directory: string) => Promise<void>;
  /** After a change. Absent: it knows whole copies only, and makes another. */
  again?: (directory: string) => Promise<void>;
  /** It cannot be used while the store is up: how that is stopped and started again, outside of what is timed. */
  stopped?: { begin: () => Promise<void>; end: () => Promise<void> };
};

/** A store with data in it, how it changes, and how its own tools copy it. */
export type CapturedStore = AsyncDisposable & {
  name: string;
  source: PlanInput["sources"][string];
  /** What its agent must be given: secrets, and where programs lie. */
  environment: Record<string, string>;
  /** Writes a small part of it anew. */
  change: () => Promise<void>;
  tools: readonly NativeTool[];
};

/** `directory`: its own, below which servers that do not run as root may walk. */
export type StartCaptured = (at: {
  directory: string;
  partsDirectory: string;
  megabytes: number;
  log: (line: string) => void;
}) => Promise<CapturedStore>;
