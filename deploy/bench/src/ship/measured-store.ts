import type { SourceKind } from "@stillpoint/contracts/names";
import type { PlanInput } from "@stillpoint/contracts/plan";

type Source = PlanInput["sources"][string];

/** A store under a load that takes all it gives: how much that is, is measured with and without shipping. */
export type MeasuredStore = AsyncDisposable & {
  kind: Extract<SourceKind, "postgres" | "neo4j" | "sqlite">;
  /** The source as a plan has it; `off`: its log is not wanted. */
  source: (ship: "off" | { flush?: string }) => Source;
  /** What its agent must be given: secrets, and where programs lie. */
  environment: Record<string, string>;
  /** Everything that was put off is done, so that no round does it for the one before. */
  settle: () => Promise<void>;
  /** Writes for so long, with all its might: what it committed a second. */
  measure: (seconds: number) => Promise<number>;
  /** What its log has grown to, in bytes. */
  logged?: () => Promise<number>;
  /** What the store's own makers give for the same, to a local directory; it ends when it is disposed of. */
  peer?: { name: string; start: () => Promise<AsyncDisposable> };
};

export type MeasuredOptions = {
  /** Its own, below which servers that do not run as root may walk. */
  directory: string;
  partsDirectory: string;
  /** What a program that loads the store is put behind. */
  besideStore: readonly string[];
  log: (line: string) => void;
};

export type StartMeasured = (options: MeasuredOptions) => Promise<MeasuredStore>;
