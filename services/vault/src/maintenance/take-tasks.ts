import { maintainRepository } from "@stillpoint/contracts/commands";
import { toStillpointError } from "@stillpoint/contracts/errors";
import { maintenanceFinished } from "@stillpoint/contracts/events";
import { type MaintenanceProblem, type MaintenanceReport, maintenanceTask } from "@stillpoint/contracts/maintenance";
import { toInstant } from "@stillpoint/contracts/names";
import { BUCKETS } from "@stillpoint/contracts/topology";
import type { TaskContext, TaskResult } from "./task.ts";
import { TASKS } from "./tasks.ts";

const LEASE_RETRY_MS = 1_000;
/** A message holds a megabyte, and people read the first lines. */
const MOST_PROBLEMS = 100;
const RANK = { damage: 0, attention: 1 } as const;

function byWeight(problems: readonly MaintenanceProblem[]): MaintenanceProblem[] {
  return [...problems].sort((a, b) => RANK[a.severity] - RANK[b.severity]).slice(0, MOST_PROBLEMS);
}

/**
 * Takes the tasks that are asked for: of each one at a time among all vaults, by the queue's one message for each subject
 * and, where a message is delivered twice, by a lease. A task that fails is not tried again before its next time: what was
 * to be told of it is told.
 */
export async function takeTasks(
  context: TaskContext & { ackWaitMs: number; owner: string },
  resources: AsyncDisposableStack,
): Promise<void> {
  const { bus, clock, log } = context;
  const last = await bus.bucket(BUCKETS.maintenance);
  const options = { concurrency: 1, ackWaitMs: context.ackWaitMs };
  for (const task of maintenanceTask.options)
    resources.use(
      await bus.takeCommands(
        maintainRepository,
        { ...options, parameters: { task } },
        async ({ body, signal, delay }) => {
          await using lease = await bus.acquireLease(`maintain.${task}`, context.owner);
          if (lease === undefined) return delay(LEASE_RETRY_MS);
          const { taskId, requestedBy } = body;
          // Delivered again after it was done: the answer to the first delivery was lost.
          if ((await last.get(task))?.value.taskId === taskId) return;
          const begun = { taskId, task, requestedBy, startedAt: toInstant(clock.now()) };
          const ended = AbortSignal.any([signal, lease.lost]);
          const report = await TASKS[task](context, ended).then(
            (result) => reportOf(begun, result, clock.now()),
            (error: unknown): MaintenanceReport => {
              // Stopped, or another has it: it is done by that one.
              ended.throwIfAborted();
              const known = toStillpointError(error, `Cannot do the maintenance task ${task}`);
              log.error({ task, error: known.toBody() }, "maintenance failed");
              return failureOf(begun, known.message, known.toBody(), clock.now());
            },
          );
          ended.throwIfAborted();
          await bus.publishEvent(maintenanceFinished, { taskId }, { report }, { key: taskId });
          await last.put(task, report);
          log.info({ task, outcome: report.outcome, ...report.figures }, report.summary);
        },
      ),
    );
}

type Begun = Pick<MaintenanceReport, "taskId" | "task" | "requestedBy" | "startedAt">;

function reportOf(begun: Begun, { summary, figures, problems }: TaskResult, nowMs: number): MaintenanceReport {
  return {
    ...begun,
    outcome: problems.length === 0 ? "sound" : "problems",
    summary,
    figures,
    problems: byWeight(problems),
    problemCount: problems.length,
    finishedAt: toInstant(nowMs),
  };
}

function failureOf(
  begun: Begun,
  summary: string,
  error: NonNullable<MaintenanceReport["error"]>,
  nowMs: number,
): MaintenanceReport {
  const finishedAt = toInstant(nowMs);
  return { ...begun, outcome: "failed", summary, figures: {}, problems: [], problemCount: 0, error, finishedAt };
}
