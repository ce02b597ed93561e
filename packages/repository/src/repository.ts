import { randomBytes } from "node:crypto";
import { availableParallelism } from "node:os";
import type { LogGap, LogRange, ShippedBy } from "@stillpoint/contracts/log";
import type { BackupFigures, Point, Proof } from "@stillpoint/contracts/point";
import type { Secret } from "@stillpoint/contracts/secret";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { changeLog } from "./changes/change-log.ts";
import { type Hold, type NewHold, placeHold, releaseHold } from "./changes/holds.ts";
import { keepPoint } from "./changes/own-retention.ts";
import { deletePoint, holdsOn, type PointState, pointStates } from "./changes/point-states.ts";
import { sealedPoints } from "./changes/sealed-points.ts";
import { type CheckOptions, checkRepository } from "./check/check.ts";
import type { CheckReport } from "./check/report.ts";
import { type ScrubOptions, type ScrubReport, scrubRepository } from "./check/scrub.ts";
import { gearTable } from "./chunking/gear.ts";
import { getDocument, listIds } from "./documents-store.ts";
import type { NameKeys } from "./format/chunk-name.ts";
import type { Compression } from "./format/codec.ts";
import { manifest } from "./format/documents.ts";
import type { TailHead } from "./format/tail-format.ts";
import type { TreeRecord } from "./format/tree-format.ts";
import { type CollectOptions, collectGarbage, type GarbageReport, planGarbage } from "./garbage/collect.ts";
import { condemnedLog } from "./garbage/condemned-log.ts";
import type { GarbagePlan } from "./garbage/plan.ts";
import { undeletePoint } from "./garbage/undelete-point.ts";
import { indexLoader } from "./index/index-loader.ts";
import { type IndexOptions, indexId, openChunkIndex } from "./index/open-chunk-index.ts";
import { deriveKey, LABELS } from "./keys/derive.ts";
import { type KeyRing, openKeyRing } from "./keys/key-ring.ts";
import type { Opener } from "./keys/opener.ts";
import { confirmBackup } from "./leases/confirm-backup.ts";
import { LEASE_MS } from "./leases/renewed-lease.ts";
import { leftAlone, sealPoint } from "./leases/seal-point.ts";
import { sharedReading } from "./leases/shared-reading.ts";
import { sealGap } from "./log/gaps.ts";
import { logReader, type SourceLog, type SourceOfPlan } from "./log/source-log.ts";
import { putTail, type ReadTail, readTail } from "./log/tails.ts";
import { revokeTokens, tokenGeneration } from "./log/token-generation.ts";
import { findPoint, type ListOptions, listPoints, listProofs, proofsOf, sealProof } from "./points.ts";
import { LONGEST_READ } from "./read/chunk-reader.ts";
import { type FileFinder, fileFinder } from "./read/file-finder.ts";
import { readBackup, type TarOptions } from "./read/read-backup.ts";
import { readQueue } from "./read/read-queue.ts";
import { openManifest, readTree } from "./read/read-tree.ts";
import { type RestoreFigures, type RestoreOptions, restoreFiles } from "./read/restore-files.ts";
import { type RepairOptions, type RepairReport, repairRepository } from "./repair/repair.ts";
import type { RepairPlan } from "./repair/repair-plan.ts";
import { type Fallback, readVerified, withCopies } from "./replicas/other-copies.ts";
import { primaryGuard } from "./replicas/primary.ts";
import { readingContext } from "./replicas/reading-context.ts";
import { type Replicas, replicasOf } from "./replicas/replicas.ts";
import type { RepositoryContext } from "./repository-context.ts";
import { inlinePool } from "./workers/inline-pool.ts";
import { type StageCpu, type WorkerPool, workerPool } from "./workers/worker-pool.ts";
import { newestBackups } from "./write/find-parent.ts";
import { slabPool } from "./write/slabs.ts";
import { uploadQueue } from "./write/upload-queue.ts";
import { type BackupHead, type BackupItem, type WriteOptions, writeBackup, writeItems } from "./write/write-backup.ts";

/** Either a passphrase, or anything else that opens a key slot. */
export type OpenOptions = ({ passphrase: Secret; opener?: never } | { opener: Opener; passphrase?: never }) & {
  /** Where the chunk index lies between this process and the next, and the memory that it takes. */
  index?: IndexOptions;
  /** Of what is written from now on. */
  compression?: Compression;
  /** Threads for the work per byte; 0 does it in the caller's. Default: one for each core, up to four. */
  threads?: number;
  /** Bytes that nobody can guess. */
  random?: (length: number) => Uint8Array;
  /** Milliseconds since the epoch. */
  now?: () => number;
  /** Milliseconds that only go forward. */
  monotonicMs?: () => number;
  /** Replicas that reads fall back to, in this order, where the primary's copy is damaged or out of reach. */
  copies?: readonly ObjectStore[];
  /** This store's name among the targets, which a promotion speaks of; its URL where there is none. */
  target?: string | undefined;
  /** Hears of every read that a copy served, or another pack. */
  fellBack?: (fallback: Fallback) => void;
  /** How long the lease of a writer or reader lives that is not renewed, by the storage's clock. Default: an hour. */
  leaseMs?: number;
};

/** An open repository. Disposal ends its threads; the object store stays the caller's. */
export interface Repository extends AsyncDisposable {
  readonly id: string;
  readonly formatVersion: number;
  /** The key epoch that it writes under: the newest when it was opened. */
  readonly epoch: number;
  /** CPU time of the threads so far, by stage. */
  stageCpuMs(): StageCpu;
  /** The backup is there once this resolves, durable, and never in part. OBJECT_EXISTS where its id is taken. */
  writeBackup(head: BackupHead, tar: AsyncIterable<Uint8Array>, options?: WriteOptions): Promise<BackupFigures>;
  /** As `writeBackup`, with bodies from files of this machine, which must not become shorter meanwhile (SOURCE_CHANGED). */
  writeFiles(head: BackupHead, items: AsyncIterable<BackupItem>, options?: WriteOptions): Promise<BackupFigures>;
  /** Backups that are about to be read, one by one: until its disposal one lease is for all of them. */
  holdForReading(backups: readonly string[]): AsyncDisposable;
  /** A pax tar with the entries, keys and bytes that came in. Nothing of a damaged chunk is given out. */
  readBackup(backupId: string, options?: TarOptions): AsyncIterable<Uint8Array>;
  /** Into a directory that exists, over what is there. Nothing of a damaged chunk is written. */
  restoreFiles(backupId: string, directory: string, options?: RestoreOptions): Promise<RestoreFigures>;
  headBackup(backupId: string, signal?: AbortSignal): Promise<BackupFigures | undefined>;
  /** As headBackup, and makes sure that all that the backup stands on is there, and stays while it may be sealed. */
  confirmBackup(backupId: string, signal?: AbortSignal): Promise<BackupFigures>;
  /** The entries of a backup in its tar's order. */
  tree(backupId: string, signal?: AbortSignal): AsyncIterable<TreeRecord>;
  /** Looks for one path in one backup after the other. */
  fileFinder(path: string): FileFinder;
  /** In the order of ids. */
  backups(options?: ListOptions): AsyncIterable<BackupFigures>;
  /** The point as it is sealed: of two with one id the first. BACKUP_UNKNOWN where a backup of it is not there. */
  sealPoint(point: Point): Promise<Point>;
  point(pointId: string, signal?: AbortSignal): Promise<Point | undefined>;
  /** Those that are not deleted, in the order of ids. */
  points(options?: ListOptions): AsyncIterable<Point>;
  /** Also those that are deleted and not swept yet, each with its holds and its deletion; in the order of ids. */
  pointStates(options?: ListOptions): AsyncIterable<PointState>;
  /** The point can be undeleted for a while. POINT_UNKNOWN; CONFLICT where a hold is on it. Twice is once. */
  deletePoint(pointId: string, order: PointOrder): Promise<void>;
  /** Back among the points, once every chunk of it was found to be there. POINT_UNKNOWN, or OBJECT_MISSING: too late. */
  undeletePoint(pointId: string, order: PointOrder): Promise<void>;
  /** A retention of the point's own, instead of its plan's: until a moment, `never` goes, or `plan`: as the plan says again. */
  keepPoint(pointId: string, until: string, order: PointOrder): Promise<void>;
  /** Those that are in force. */
  holdsOn(pointId: string): Promise<Hold[]>;
  placeHold(pointId: string, hold: NewHold): Promise<Hold>;
  releaseHold(pointId: string, holdId: string, order: PointOrder): Promise<void>;
  /** One flush of an open log, durable when it resolves. Given twice it is one; CONFLICT where its name is taken. */
  putTail(by: ShippedBy, range: LogRange, bytes: Uint8Array): Promise<TailHead>;
  /** By the id that `sourceLog` gave; undefined where it is not there any more: what it held lies in a closed stretch. */
  readTail(id: string, signal?: AbortSignal): Promise<ReadTail | undefined>;
  /** A hole in a source's log. Told twice it is one, and answers with the first. */
  sealGap(gap: LogGap): Promise<LogGap>;
  /** All that is held of a source's log and of what it is laid over; what is condemned left out. */
  sourceLog(of: SourceOfPlan, signal?: AbortSignal): Promise<SourceLog>;
  /**
   * As sourceLog, for who waits until a log has grown: what a look at the whole showed seconds ago, and what came behind it since,
   * in far fewer calls. What came elsewhere, a base or another stream, shows seconds later.
   */
  growingLog(of: SourceOfPlan, signal?: AbortSignal): Promise<SourceLog>;
  /** Tokens for a source's log of an older generation than this count no more. */
  tokenGeneration(of: SourceOfPlan, signal?: AbortSignal): Promise<number>;
  revokeTokens(of: SourceOfPlan, by: string): Promise<number>;
  /** Whether a point that is sealed soon may stand on a backup: it is in one that is there, or was stored recently enough. */
  mayBeSealed(backupId: string): Promise<boolean>;
  sealProof(proof: Proof): Promise<Proof>;
  /** In the order of points' ids, then proofs'; `after` is a `proofKey`. */
  proofs(options?: ListOptions): AsyncIterable<Proof>;
  /** Oldest first. */
  proofsOf(pointId: string): Promise<Proof[]>;
  /** What a collection would free now, what goes on which date, and what pins the rest. Changes nothing. */
  planGarbage(options?: CollectOptions): Promise<GarbagePlan>;
  /** Sweeps what was condemned long enough ago, and condemns what nothing needs. ALREADY_RUNNING where another is at work. */
  collectGarbage(options?: CollectOptions): Promise<GarbageReport>;
  check(options?: CheckOptions): Promise<CheckReport>;
  /** Reads a part of the data, from where the last one ended. */
  scrub(options: ScrubOptions): Promise<ScrubReport>;
  /** Does what a plan says about damage, made by `planRepair` of what a check or scrub found. */
  repair(plan: RepairPlan, options?: RepairOptions): Promise<RepairReport>;
  /** By the storage's own clock, in epoch milliseconds. */
  storageNow(signal?: AbortSignal): Promise<number>;
  /** A key of 32 bytes for a purpose outside of the repository, such as signing tickets. */
  deriveKey(label: string): Uint8Array;
  readonly replicas: Replicas;
}

/** Who asks for it, and why; for people. */
export type PointOrder = { by: string; reason?: string | undefined };

const MOST_THREADS = 4;
const UPLOADS_AT_ONCE = 4;
/** Reads at once: of the longest as many as two for each thread and some beside, for a remote store's answer takes its time. */
const LONG_READS_MORE = 4;
const READS_AT_ONCE = 64;
/** Beside two for each thread: one that is filled, one that waits for its pack. */
const SLABS_MORE = 2;

function nameKeys(ring: KeyRing) {
  const keys = new Map<number, NameKeys>();
  for (let epoch = 1; epoch <= ring.epochs.current; epoch++) {
    const key = ring.epochs.keyOf(epoch);
    const nothing = new Uint8Array(0);
    if (key !== undefined)
      keys.set(epoch, {
        data: deriveKey(key, nothing, LABELS.dataName),
        tree: deriveKey(key, nothing, LABELS.treeName),
        pages: deriveKey(key, nothing, LABELS.pagesName),
      });
  }
  return keys;
}

async function* entries(
  context: RepositoryContext,
  backupId: string,
  signal?: AbortSignal,
): AsyncGenerator<TreeRecord> {
  const { document } = await openManifest(context, backupId, signal);
  for await (const item of readTree(context, backupId, document, signal)) if (item.item === "entry") yield item.entry;
}

async function* figures(context: RepositoryContext, options: ListOptions = {}): AsyncGenerator<BackupFigures> {
  for await (const backupId of listIds(context, "backups", options)) {
    const found = await getDocument(context, "backups", backupId, manifest, options.signal);
    if (found !== undefined) yield found.document.figures;
  }
}

/**
 * Opens with a key: REPOSITORY_MISSING, FORMAT_UNKNOWN, KEY_WRONG before anything else happens. Reads the index, so
 * that what it opened can be read and written at once.
 */
export async function openRepository(store: ObjectStore, options: OpenOptions): Promise<Repository> {
  const { config, ring } = await openKeyRing(store, options.opener ?? options.passphrase);
  const currentKey = ring.epochs.keyOf(ring.epochs.current) ?? new Uint8Array(0);
  const gear = gearTable(currentKey);
  await using opened = new AsyncDisposableStack();
  const index = opened.use(openChunkIndex(indexId(ring.repositoryId, store.url), options.index));
  // What is read may come from a copy. What is there is decided by the primary alone: a copy may still have what was swept.
  const fellBack = options.fellBack ?? (() => undefined);
  const readable = withCopies(store, options.copies ?? [], fellBack);
  const loader = indexLoader(readable, index, ring.epochs);
  await loader.load();
  const threads = options.threads ?? Math.min(availableParallelism(), MOST_THREADS);
  const compression = options.compression ?? "default";
  const setup = { chunking: config.chunking, gear, nameKeys: nameKeys(ring), compression };
  const pool: WorkerPool = threads === 0 ? inlinePool(setup) : workerPool(threads, setup);
  const random = options.random ?? ((length) => new Uint8Array(randomBytes(length)));
  const now = options.now ?? Date.now;
  const context: RepositoryContext = {
    store,
    ring,
    chunking: config.chunking,
    gear,
    index,
    loader,
    pool,
    uploads: uploadQueue(UPLOADS_AT_ONCE),
    reads: readQueue(READS_AT_ONCE, (2 * threads + LONG_READS_MORE) * LONGEST_READ),
    newest: newestBackups(),
    slabs: slabPool(2 * threads + SLABS_MORE),
    sealed: sealedPoints({ store, ring, random }),
    condemned: condemnedLog({ store, ring, random, index }),
    logs: logReader(),
    leaseMs: options.leaseMs ?? LEASE_MS,
    changes: changeLog({ store, ring, random, now }),
    fellBack,
    random,
    now,
    monotonicMs: options.monotonicMs ?? (() => performance.now()),
  };
  opened.use(pool);
  const close = opened.move();
  const identity = { name: options.target, url: store.url };
  const { guarded } = primaryGuard(context.changes, identity);
  const reading = readingContext(context, readable, close);
  const readingLease = sharedReading();
  return {
    id: ring.repositoryId,
    formatVersion: config.version,
    epoch: ring.epochs.current,
    stageCpuMs: pool.cpuMs,
    writeFiles: (head, items, writeOptions) => guarded(() => writeItems(context, head, () => items, writeOptions)),
    writeBackup: (head, tar, writeOptions) => guarded(() => writeBackup(context, head, tar, writeOptions)),
    holdForReading: (backups) => readingLease(context, backups),
    async *readBackup(backupId, readOptions) {
      await using _lease = readingLease(context, [backupId]);
      yield* readBackup(reading, backupId, readOptions);
    },
    restoreFiles: async (backupId, directory, restoreOptions) => {
      await using _lease = readingLease(context, [backupId]);
      return await restoreFiles(reading, backupId, directory, restoreOptions);
    },
    headBackup: async (backupId, signal) =>
      (await getDocument(context, "backups", backupId, manifest, signal))?.document.figures,
    confirmBackup: (backupId, signal) => confirmBackup(context, backupId, signal),
    tree: (backupId, signal) => entries(reading, backupId, signal),
    fileFinder: (path) => fileFinder(reading, path),
    backups: (listOptions) => figures(reading, listOptions),
    sealPoint: (point) => guarded(() => sealPoint(context, point)),
    point: (pointId, signal) => findPoint(reading, pointId, signal),
    points: (listOptions) => listPoints(reading, listOptions),
    pointStates: (listOptions) => pointStates(context, listOptions),
    deletePoint: (pointId, order) => guarded(() => deletePoint(context, pointId, order)),
    undeletePoint: (pointId, order) => guarded(() => undeletePoint(context, pointId, order)),
    keepPoint: (pointId, until, order) => guarded(() => keepPoint(context, pointId, until, order)),
    holdsOn: (pointId) => holdsOn(context, pointId),
    placeHold: (pointId, hold) => guarded(() => placeHold(context, pointId, hold)),
    releaseHold: (pointId, holdId, order) => guarded(() => releaseHold(context, pointId, holdId, order)),
    putTail: (by, range, bytes) =>
      guarded(async () => {
        const head = await putTail(context, by, range, bytes);
        context.logs.stored(head);
        return head;
      }),
    readTail: async (id, signal) => context.logs.takeTail(id) ?? (await readTail(reading, id, signal)),
    sealGap: (gap) => guarded(() => sealGap(context, gap)),
    sourceLog: (of, signal) => context.logs.read(reading, of, signal),
    growingLog: (of, signal) => context.logs.readGrowth(reading, of, signal),
    tokenGeneration: (of, signal) => tokenGeneration(context, of, signal),
    revokeTokens: (of, by) => guarded(() => revokeTokens(context, of, by)),
    mayBeSealed: async (backupId) => (await leftAlone(context, undefined, [backupId])) === undefined,
    sealProof: (proof) => guarded(() => sealProof(context, proof)),
    proofs: (listOptions) => listProofs(reading, listOptions),
    proofsOf: (pointId) =>
      readVerified(readable, `proofs/${pointId}/`, (from) => proofsOf({ ...reading, store: from }, pointId)),
    planGarbage: (collectOptions) => planGarbage(context, collectOptions),
    collectGarbage: (collectOptions) => guarded(() => collectGarbage(context, collectOptions)),
    check: (checkOptions) => checkRepository(context, checkOptions),
    scrub: (scrubOptions) => scrubRepository(context, scrubOptions),
    repair: (plan, repairOptions) => guarded(() => repairRepository(context, plan, repairOptions)),
    storageNow: (signal) => store.now(signal),
    deriveKey: (label) => deriveKey(ring.master.key, Buffer.from(ring.repositoryId, "utf8"), LABELS.derived(label)),
    replicas: replicasOf(context, identity, options.copies ?? []),
    [Symbol.asyncDispose]: () => close.disposeAsync(),
  };
}
