/** A recovery point as far as retention looks at it. Times are epoch milliseconds. */
export type RetentionPoint = {
  pointId: string;
  /** When it was cut. */
  cutMs: number;
  /** The schedule entries that it stands for. */
  entries: readonly string[];
  partial: boolean;
  /** Its newest proof; nobody needs to look further back than to the newest whole point that is proven. */
  proof: "proven" | "failed" | "inconclusive" | "unproven";
  /** Those that were not released. */
  holds: readonly { reason: string; untilMs?: number | undefined }[];
  /** Its own retention, instead of the plan's. */
  expires?: number | "never" | undefined;
  /** What it stands on: of each source the full first, then what is laid over it. */
  backups: readonly string[];
};

/** A stretch of time of which any moment can be had: a base, and the log from its end on without a hole. */
export type LogWindow = { source: string; fromMs: number; toMs: number; backups: readonly string[] };

/** Why a point stays or goes. `code` is for programs, `text` for people. */
export type Reason = {
  code:
    | "last"
    | "within"
    | "every"
    | "hour"
    | "day"
    | "week"
    | "month"
    | "year"
    | "newest-whole"
    | "newest-proven"
    | "minimum"
    | "hold"
    | "own-retention"
    | "future"
    | "log"
    | "partial"
    | "replaced"
    | "too-old";
  text: string;
};

export type Judgement = { point: RetentionPoint; keep: boolean; reasons: readonly Reason[] };

export type Retention = {
  /** Newest first. */
  points: readonly Judgement[];
  /** Backups of points that go, on which nothing that stays rests. */
  freed: readonly string[];
  /** Backups of points that go, which stay, and for what. */
  stillNeeded: readonly { backupId: string; by: string }[];
};
