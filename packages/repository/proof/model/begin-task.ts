import { StillpointError } from "@stillpoint/contracts/errors";
import { EpochUnknown } from "../../src/format/damage.ts";
import type { ModelProcess, Task } from "./model-process.ts";
import type { World } from "./world.ts";

/** What a kind of work does, and what its end says of the world; each answers what is wrong with it, if anything. */
export type Work<Result> = {
  title: string;
  run: (process: ModelProcess) => Promise<Result>;
  done: (result: Result) => string | undefined;
  /** It may always fail so, whoever else is at work. */
  mayFail?: readonly string[];
  /** What it is after a failure: done as well, if that says so. */
  failed?: (code: string) => void;
  /** Whether it had to come out right, or end otherwise than so, whatever others did. */
  mustSucceed?: (code: string) => boolean;
  /** The process died: whether it was done nobody knows. Otherwise as `failed`. */
  crashed?: () => void;
};

export function told(error: unknown): string {
  if (error instanceof StillpointError) return `${error.code}: ${error.what}; ${error.where}: ${error.why}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function newestEpoch({ primary }: World): number {
  return [...primary.objects.keys()].filter((name) => name.startsWith("epochs/")).length;
}

function judged<Result>(
  world: World,
  process: ModelProcess,
  work: Work<Result>,
  task: Task,
  error: unknown,
): string | undefined {
  // Of a newer epoch than it knows: it has to be started anew, and says so.
  const isStale = error instanceof EpochUnknown && process.repository.epoch < newestEpoch(world);
  work.failed?.(error instanceof StillpointError && !isStale ? error.code : "");
  if (!(error instanceof StillpointError) || error.code === "INTERNAL") return `${task.title}: ${told(error)}`;
  if (isStale) {
    process.isStale = true;
    return undefined;
  }
  if (error.code === "NOT_PRIMARY") {
    if (world.isPromoting || process.home !== world.primary) return undefined;
    return `${task.title}, though nobody promoted another: ${told(error)}`;
  }
  // What it reads there is a replica's.
  if (process.home !== world.primary) return undefined;
  if (work.mustSucceed?.(error.code) === true) return `${task.title}, which had to succeed: ${told(error)}`;
  if (task.disturbed || work.mayFail?.includes(error.code)) return undefined;
  return `${task.title}, undisturbed: ${told(error)}`;
}

/** Begins the work: it goes on as its calls are let go. */
export function beginTask<Result>(world: World, process: ModelProcess, work: Work<Result>): void {
  const title = `${work.title} in process ${process.id}`;
  const task: Task = {
    title,
    disturbed: false,
    ended: false,
    violation: undefined,
    crashed: () => (work.crashed ?? work.failed)?.(""),
  };
  process.tasks.push(task);
  const end = (violation: string | undefined, how: string) => {
    task.ended = true;
    task.violation = violation;
    world.trace.push(`${title} ${how}`);
    world.scheduler.happened();
  };
  work.run(process).then(
    (result) => end(work.done(result), "is done"),
    (error: unknown) => end(judged(world, process, work, task, error), `failed: ${told(error)}`),
  );
}
