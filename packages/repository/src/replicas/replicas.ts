import type { ObjectStore } from "@stillpoint/object-store/object-store";
import type { RepositoryContext } from "../repository-context.ts";
import { type ReplicateOptions, type ReplicateReport, replicate } from "./replicate.ts";
import { type Survey, surveyReplica } from "./survey.ts";

/** What an open repository, the primary, does with its replicas. */
export type Replicas = {
  /** What a replica lacks and how far it is behind: both sides are listed, nothing is read. */
  survey(replica: ObjectStore, signal?: AbortSignal): Promise<Survey>;
  /** One pass over what the replica lacks, oldest first. */
  replicate(replica: ObjectStore, options?: ReplicateOptions): Promise<ReplicateReport>;
};

export function replicasOf(context: RepositoryContext): Replicas {
  return {
    survey: (replica, signal) => surveyReplica(context.store, replica, signal),
    replicate: (replica, options) => replicate(context, replica, options),
  };
}
