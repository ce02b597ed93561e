import { setTimeout as delay } from "node:timers/promises";
import { type Extract, extractTars } from "@stillpoint/agent/restore-tree";
import { vaultStretches } from "@stillpoint/agent/stretch-reader";
import { type VaultClient, vaultClient } from "@stillpoint/agent/vault-client";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { BackupFigures, Point } from "@stillpoint/contracts/point";
import { queryPoints } from "@stillpoint/contracts/queries";
import { vaultPoint, vaultTicket } from "@stillpoint/contracts/vault";
import type { SourceOfPlan } from "@stillpoint/repository/log/source-log";
import type { ThawPlan, ThawProgress } from "@stillpoint/repository/replicas/thaw";
import type { KeyOptions } from "./key/key-options.ts";
import { type LogSource, repositoryLog } from "./log-pieces.ts";
import { openAllTargets, openForReading } from "./open-targets.ts";
import { reachBus } from "./reach.ts";
import type { World } from "./world.ts";

/** Where a restore gets its point and bytes from: a running vault, or the repository itself. */
export type PointReader = AsyncDisposable &
  LogSource & {
    /** By id, or the newest whole one; of a plan where one is named. */
    find: (pointId: string | undefined, plan: string | undefined) => Promise<Point>;
    /** `over`: the directory may hold a part of it already, of which only what differs is written. */
    extract: (over: boolean) => Extract;
    /** A backup as a tar, or one path of it. */
    tar: (backupId: string, path?: string) => AsyncIterable<Uint8Array>;
    /** Of a backup that is there. */
    headBackup: (backupId: string) => Promise<BackupFigures>;
    /** What of these backups lies in cold storage classes, and must be thawed before it can be read; absent: not known here. */
    cold?: (backups: readonly string[]) => Promise<ThawPlan>;
    thaw?: (plan: ThawPlan, onProgress: (progress: ThawProgress) => void) => Promise<void>;
  };

/** For so long thawed copies stay: a restore that breaks off can be done again. */
const THAWED_DAYS = 7;
/** Far shorter than a ticket lives. */
const TICKET_USED_MS = 60_000;
const THAW_ASKED_EVERY_MS = 300_000;
/** What is there without a running system. */
const LIST = "stillpoint points --repository …";

export async function repositoryReader(world: World, url: string, key: KeyOptions): Promise<PointReader> {
  await using opening = new AsyncDisposableStack();
  const targets = opening.use(await openAllTargets(world, url, key));
  const repository = opening.use(await openForReading(world, targets));
  const held = opening.use(new AsyncDisposableStack());
  const opened = opening.move();
  return {
    async find(pointId, plan) {
      if (pointId !== undefined) return (await repository.point(pointId)) ?? unknownPoint(pointId, LIST);
      let newest: Point | undefined;
      for await (const point of repository.points()) {
        if (point.partial || (plan !== undefined && point.plan !== plan)) continue;
        if (newest === undefined || point.cut.at > newest.cut.at) newest = point;
      }
      return newest ?? unknownPoint(plan ?? "any plan", LIST);
    },
    tar: (backupId, path) =>
      repository.readBackup(backupId, { signal: world.signal, ...(path === undefined ? {} : { path }) }),
    extract:
      (over) =>
      (backupId, directory, { path, keepOwners, refused, progress, base }) =>
        repository.restoreFiles(backupId, directory, {
          path,
          keepOwners,
          refused,
          signal: world.signal,
          onProgress: progress,
          compare: over,
          exact: over && base,
        }),
    headBackup: async (backupId) => (await repository.headBackup(backupId, world.signal)) ?? unknownBackup(backupId),
    ...repositoryLog(repository, world.signal, held),
    cold: (backups) => repository.replicas.planThaw(backups, world.signal),
    thaw: (plan, onProgress) =>
      repository.replicas.thaw(plan, {
        keepDays: THAWED_DAYS,
        askEveryMs: THAW_ASKED_EVERY_MS,
        sleep: async (ms, signal) => {
          await delay(ms, undefined, signal === undefined ? {} : { signal });
        },
        onProgress,
        signal: world.signal,
      }),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

export async function vaultReader(world: World): Promise<PointReader> {
  const bus = await reachBus(world);
  const patience = { timeoutMs: 10_000 };
  const clientFor = async (of: { backups: string[]; log?: SourceOfPlan }) => {
    const { vaultUrl, ticket } = await bus.request(vaultTicket, {}, { purpose: "restore", ...of }, patience);
    return vaultClient(vaultUrl, ticket, world.signal);
  };
  const tar = async function* (backupId: string, path?: string): AsyncGenerator<Uint8Array> {
    yield* (await clientFor({ backups: [backupId] })).getBackup(backupId, path);
  };
  let asked: { of: SourceOfPlan; client: VaultClient; untilMs: number } | undefined;
  /** One ticket for the many parts of a log. */
  const logClient = async (of: SourceOfPlan) => {
    const nowMs = world.clock.monotonicMs();
    if (asked === undefined || asked.of.plan !== of.plan || asked.of.source !== of.source || asked.untilMs < nowMs)
      asked = { of, client: await clientFor({ backups: [], log: of }), untilMs: nowMs + TICKET_USED_MS };
    return asked.client;
  };
  return {
    async find(pointId, plan) {
      if (pointId !== undefined) return (await bus.request(vaultPoint, {}, { pointId }, patience)).point;
      const { points } = await bus.request(queryPoints, {}, plan === undefined ? {} : { plan }, patience);
      return points.find(({ point }) => !point.partial)?.point ?? unknownPoint(plan ?? "any plan");
    },
    extract: (over) => {
      if (over)
        throw new StillpointError("INVALID_REQUEST", {
          what: "Cannot write the difference only",
          where: "--over",
          why: "a running vault gives whole backups",
          hint: "name the repository: --repository and --key-file",
        });
      return extractTars(tar);
    },
    tar,
    headBackup: async (backupId) =>
      (await (await clientFor({ backups: [backupId] })).headBackup(backupId)) ?? unknownBackup(backupId),
    sourceLog: async (of) => (await logClient(of)).getSourceLog(of),
    stretches: (of) => ({
      extract: async (...to) => await vaultStretches(await logClient(of)).extract(...to),
      readTail: async (id) => await vaultStretches(await logClient(of)).readTail(id),
    }),
    [Symbol.asyncDispose]: () => bus[Symbol.asyncDispose](),
  };
}

function unknownPoint(where: string, list = "stillpoint points"): never {
  throw new StillpointError("POINT_UNKNOWN", {
    what: "There is no such recovery point",
    where,
    hint: `see \`${list}\``,
  });
}

function unknownBackup(where: string): never {
  throw new StillpointError("BACKUP_UNKNOWN", { what: "There is no such backup", where });
}
