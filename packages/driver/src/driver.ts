import type { LogPosition } from "@stillpoint/contracts/log";
import type { BackupType, SourceKind } from "@stillpoint/contracts/names";
import type { Mark, Runtime } from "@stillpoint/contracts/point";
import type { Query, QueryRow } from "@stillpoint/contracts/query";
import type { Secret } from "@stillpoint/contracts/secret";
import type { SourceSpec } from "@stillpoint/contracts/source";
import type { RecoverInput } from "./recover.ts";
import type { ShipOptions } from "./ship.ts";
import type { Earlier, TreeFile, TreeWriter } from "./tree.ts";

/** What a driver may know of the world. Nothing else reaches it: no environment, no clock, no bus. */
export type DriverContext = {
  /** An empty directory of its own, mode 0700; the caller removes it. */
  directory: string;
  /** Ends what is under way; every method rejects soon after it fires. */
  signal: AbortSignal;
  secret: (reference: string) => Secret;
  /** Milliseconds of a monotonic clock. */
  monotonicMs: () => number;
  /** Milliseconds since the epoch. */
  now: () => number;
  /** One line for the log, with figures. Never a secret. */
  log: (message: string, fields?: Record<string, unknown>) => void;
  tools: Tools;
};

/** Where an installation keeps the stores' programs. Absent: the store is not installed here. */
export type Tools = {
  /** Directory with `postgres`, `initdb`, `pg_verifybackup`, … */
  postgresBin?: string;
  /** Account that servers run as where this process is root. */
  serverUser?: string;
  /** Sandboxes run in the open, because something around this machine keeps them in; the egress probe still tells. */
  openSandboxes?: boolean;
  /** Directory of Neo4j's jars. */
  neo4jLib?: string;
  java?: string;
  /** Program and first arguments of `neo4j-admin`; that of the PATH where it is not given. Enterprise backs up by it. */
  neo4jAdmin?: string[];
  /** Further options of every Java that runs those, such as an archive of their classes (`-XX:SharedArchiveFile=`). */
  javaOptions?: string[];
  /** Program and first arguments that start a Qdrant server. */
  qdrantCommand?: string[];
  /** True if that program is the test double, which must never hold a user's data. */
  qdrantIsDouble?: boolean;
};

export type Description = {
  /** Of the server, for people: `PostgreSQL 15.18`. */
  version: string;
  runtime: Runtime;
  /** What the store holds now, where its points may rest on a base and do not say it. */
  sizeBytes?: number;
  /** The log kinds can be marked by position; the others fix a snapshot when they are cut. */
  hasLog: boolean;
  /** What `base` makes; absent where everything is captured at the finish. */
  base?: BackupType;
  finish: BackupType;
  /** What people should know before they rely on it: missing rights, unlogged tables. */
  notes: string[];
};

export type MarkRequest = {
  cutId: string;
  /** The reply is worth nothing after this long. */
  budgetMs: number;
  /** The application confirmed that it is quiet. */
  fenced: boolean;
};

/** What a capture can rely on that others do. */
export type OpenOptions = {
  /**
   * There: the source's log is shipped, and a base that it can be laid over is held. No base is made, the finish leaves the log
   * out, and the mark says where in the log it is. A driver that makes its own base all the same describes itself with one.
   *
   * Waits for a place of that log that the repository holds, and that serves; undefined: in the time that is given none came.
   * For a driver whose marks are no places of the log: it carries itself what lies between such a place and the mark.
   */
  heldPlace?: (serves: (held: LogPosition) => Promise<boolean>) => Promise<LogPosition | undefined>;
  /** Files of that base, for a driver that cannot tell without them whether its mark may rest on it. */
  standingBase?: Earlier;
};

/**
 * One process's ownership of a source for one run. The order of calls is: base (if it has one), then settle, mark and
 * finish; after a void cut settle, mark and finish come again, with another cutId, on the same base. base and finish
 * may be called again when their upload failed.
 */
export interface Capture extends AsyncDisposable {
  readonly description: Description;
  /** `earlier`: what the point before has of the source; only where the driver `usesEarlier`. */
  base(tree: TreeWriter, earlier?: Earlier): Promise<void>;
  /** Brings the source to where the mark is quick. Called before the application is asked to be quiet; may take long. */
  settle(): Promise<void>;
  /** Fixes the position. A later one with another cutId replaces it. */
  mark(request: MarkRequest): Promise<Mark>;
  /** Everything up to the mark that the base does not hold. */
  finish(tree: TreeWriter): Promise<void>;
}

/** A step that turns extracted trees into a directory that the store's own recovery accepts. Paths are relative. */
export type LayoutStep =
  | { do: "write"; path: string; content: string; mode: number }
  | { do: "truncate"; path: string; size: number }
  | { do: "move"; from: string; to: string }
  | { do: "remove"; path: string }
  | { do: "directory"; path: string; mode: number };

export type SandboxInput = {
  /** Holds the laid-out tree; the server may change it. */
  directory: string;
  mark: Mark;
  runtime: Runtime;
};

/** The answer of one address to the egress probe that ran inside the sandbox. */
export type EgressResult = { address: string; reached: boolean; detail: string };

/** A throw-away server on a restored directory, recovered to its mark and answering. Disposal ends every process of it. */
export interface Sandbox extends AsyncDisposable {
  readonly version: string;
  /** What recovery reported, for people. */
  readonly recovered: string;
  query(query: Query): AsyncIterable<QueryRow>;
  /** Tries to get out: `host:port`, `unix:/path`, `dns:name`. */
  probeEgress(addresses: readonly string[]): Promise<EgressResult[]>;
}

/** Pure: the steps from the trees of a full and its logs, extracted over one another, to a startable directory. */
export type TreeLayout = (files: readonly TreeFile[], mark: Mark) => LayoutStep[];

export type WatchOptions = {
  /** So often everything is looked through. */
  rescanMs: number;
  changed: (by: "event" | "rescan" | "start") => void;
};

export interface Driver<Spec extends SourceSpec = SourceSpec> {
  readonly kind: SourceKind;
  /** Its base takes over what has not changed since the point before. */
  readonly usesEarlier?: true;
  /**
   * Connects, checks rights, space and settings, and takes hold of what the capture needs (a slot, a read transaction).
   * Throws SOURCE_UNREACHABLE, SOURCE_DENIED, SOURCE_UNSUPPORTED or SECRET_MISSING before anything was changed.
   */
  open(source: Spec, context: DriverContext, options?: OpenOptions): Promise<Capture>;
  /**
   * The source's log, from `options.from` on until `options.stop`, as it is written; absent where the store has none. What
   * the source keeps for it (a slot) stays when it ends. Rejects with what `open` throws, and with SOURCE_LOST: it is then
   * called again, from what the sink holds by then. A log that does not go on from `from` is no failure: it is told to the
   * sink as a gap, and shipped from where it can be had.
   */
  ship?(source: Spec, options: ShipOptions, context: DriverContext): Promise<void>;
  /**
   * Watches the source until the signal of the context fires, and says when it changed: by itself, by looking through it, or
   * that it begins to watch and knows nothing of before. Absent where a store has a log, or tells of nothing.
   */
  watch?(source: Spec, options: WatchOptions, context: DriverContext): Promise<void>;
  /**
   * Lets go of what the source keeps for the shipper of that owner, which must have ended for good: left alone it would fill
   * the source's disk. Nothing there is nothing to do.
   */
  letGo?(source: Spec, owner: string, context: DriverContext): Promise<void>;
  layout: TreeLayout;
  /**
   * Puts a log where it belongs in a base's tree, and gives the mark that `layout` and `start` take, so that the store's own
   * recovery goes to the target. INVALID_REQUEST where the target is none of this store's, or is outside of what is there.
   */
  recover?(input: RecoverInput, context: Pick<DriverContext, "signal">): Promise<Mark>;
  /** The runtime ids that a rehearsal can be given here, with these tools; empty where the store is not installed. */
  runtimes(tools: Tools, signal: AbortSignal): Promise<string[]>;
  /** Throws STORE_NOT_INSTALLED or SANDBOX_FAILED (with the server's last words). */
  start(input: SandboxInput, context: DriverContext): Promise<Sandbox>;
  /** Addresses that a source answers at, for the egress probe: `host:port`, `unix:/path`. */
  addresses(source: Spec): string[];
}
