import type { ObjectStore } from "@stillpoint/object-store/object-store";
import type { RepositoryContext } from "../repository-context.ts";
import type { ClassRule } from "./class-moves.ts";
import { applyLegalHolds, type HoldFigures } from "./legal-holds.ts";
import { type ClassReport, moveClasses } from "./move-classes.ts";
import { extendLocks, type LockFigures } from "./object-lock.ts";
import { newestPromotion, type Promotion, primaryGuard, type TargetIdentity } from "./primary.ts";
import {
  type AloneOptions,
  type PromoteOptions,
  type PromotionPlan,
  planPromotion,
  promote,
  promoteAlone,
} from "./promote.ts";
import { type Repaired, repairObject } from "./repair-object.ts";
import { type ReplicateOptions, type ReplicateReport, replicate } from "./replicate.ts";
import type { Lag } from "./survey.ts";
import { type Survey, type SurveyOptions, surveyReplica } from "./survey.ts";
import { type SweepOptions, type SweepReport, sweepReplica } from "./sweep-replica.ts";
import { takeIn } from "./take-in.ts";
import { planThaw, type ThawOptions, type ThawPlan, thaw } from "./thaw.ts";

/** What an open repository, the primary, does with its replicas. */
export type Replicas = {
  /** What a replica lacks and how far it is behind: both sides are listed, nothing is read. */
  survey(replica: ObjectStore, options?: SurveyOptions): Promise<Survey>;
  /** One pass over what the replica lacks, oldest first. NOT_PRIMARY where either side knows of another primary. */
  replicate(replica: ObjectStore, options?: ReplicateOptions): Promise<ReplicateReport>;
  /** Puts a lost or damaged object of `store` back, from the first of the others that has it whole. */
  repair(store: ObjectStore, others: readonly ObjectStore[], object: string, signal?: AbortSignal): Promise<Repaired>;
  /** Copies what only this store, an old primary, has into the present primary. */
  takeIn(present: ObjectStore, options?: ReplicateOptions): Promise<ReplicateReport>;
  /** Deletes on a replica what the primary condemned and has deleted, by the replica's own clock. NOT_PRIMARY likewise. */
  sweep(replica: ObjectStore, options: SweepOptions): Promise<SweepReport>;
  /** Which target is the primary by the newest promotion; undefined where nobody ever promoted one. */
  promotion(signal?: AbortSignal): Promise<Promotion | undefined>;
  planPromotion(replica: ObjectStore, signal?: AbortSignal): Promise<PromotionPlan>;
  /** Makes a replica the primary instead of this repository's store. */
  promote(replica: ObjectStore, options: PromoteOptions): Promise<{ promotion: Promotion; lag: Lag }>;
  /** Makes this repository's own store the primary, where the old one is out of reach. */
  promoteAlone(options: AloneOptions): Promise<Promotion>;
  /** Moves a target's packs to the class that the age of the points on them asks for. */
  moveClasses(
    store: ObjectStore,
    rules: readonly ClassRule[],
    options?: { dryRun?: boolean; signal?: AbortSignal | undefined },
  ): Promise<ClassReport>;
  /** What must be thawed before these backups can be read: what is cold, and on no copy readable at once. */
  planThaw(backupIds: readonly string[], signal?: AbortSignal): Promise<ThawPlan>;
  /** Asks for it, and resolves when all can be read. */
  thaw(plan: ThawPlan, options: ThawOptions): Promise<void>;
  /** Names of what the collector means to delete. */
  condemned(signal?: AbortSignal): Promise<ReadonlySet<string>>;
  /** To be called more often than every half of `lockMs`. */
  extendLocks(
    store: ObjectStore,
    lockMs: number,
    condemned: ReadonlySet<string>,
    signal?: AbortSignal,
  ): Promise<LockFigures>;
  /** Brings a target's legal holds in line with the holds on points. */
  applyLegalHolds(store: ObjectStore, signal?: AbortSignal): Promise<HoldFigures>;
};

/** `identity`: who the context's store is among the targets. `copies`: those that readers fall back on. */
export function replicasOf(
  context: RepositoryContext,
  identity: TargetIdentity,
  copies: readonly ObjectStore[],
): Replicas {
  const { assertPrimary } = primaryGuard(context.changes, identity);
  return {
    survey: (replica, options) => surveyReplica(context.store, replica, options),
    // Who is not the primary any more would bring back what the primary has deleted, and delete what it has not.
    async replicate(replica, options) {
      await assertPrimary(options?.signal);
      return replicate(context, replica, { ...options, as: identity });
    },
    repair: (store, others, object, signal) => repairObject(context, store, others, object, signal),
    takeIn: (present, options) => takeIn(context, present, options),
    async sweep(replica, options) {
      await assertPrimary(options.signal);
      return sweepReplica(context, replica, options);
    },
    promotion: (signal) => newestPromotion(context.changes, signal),
    planPromotion: (replica, signal) => planPromotion(context, replica, signal),
    promote: (replica, options) => promote(context, replica, options),
    promoteAlone: (options) => promoteAlone(context, options),
    moveClasses: (store, rules, options) => moveClasses(context, store, rules, options),
    planThaw: (backupIds, signal) => planThaw(context, backupIds, copies, signal),
    thaw: (plan, options) => thaw(context.store, plan, options),
    condemned: async (signal) => new Set((await context.condemned.load(signal)).objects.keys()),
    extendLocks: (store, lockMs, condemned, signal) => extendLocks(store, { lockMs, condemned, signal }),
    applyLegalHolds: (store, signal) => applyLegalHolds(context, store, signal),
  };
}
