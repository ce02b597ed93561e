import { keyDue, keyRotated } from "@stillpoint/contracts/events";
import type { MaintenanceProblem } from "@stillpoint/contracts/maintenance";
import { toInstant } from "@stillpoint/contracts/names";
import type { KeyReview, ReviewedKey } from "@stillpoint/repository/keys/rotate-if-due";
import type { Task, TaskContext } from "./task.ts";

function problemOf({ slot, label, target, state, dueAt, why }: ReviewedKey): MaintenanceProblem {
  const name = label === undefined ? target : `${target} (${label})`;
  return {
    severity: "attention",
    where: `keys/${slot}`,
    why: `${name} is due ${state === "due" ? "since" : "on"} ${dueAt.slice(0, 10)}: ${why}`,
    hint: "stillpoint key list",
  };
}

function retainedProblems({ rotated, finished }: KeyReview): MaintenanceProblem[] {
  return [...(rotated?.replaced ?? []), ...finished].flatMap((retired) =>
    retired.outcome === "deleted"
      ? []
      : [
          {
            severity: "attention" as const,
            where: `keys/${retired.slot}`,
            why: `it is retired, and the target keeps its object (${retired.why}): its old secret still opens it`,
            hint: "nothing, if it can be deleted later: the next run does it",
          },
        ],
  );
}

async function tell({ bus, clock }: Pick<TaskContext, "bus" | "clock">, review: KeyReview): Promise<void> {
  const at = toInstant(clock.now());
  const { repositoryId, rotated, keys } = review;
  if (rotated !== undefined) {
    const { slot, replaced } = rotated;
    const body = { repositoryId, slot, replaced: replaced.map((each) => each.slot), at };
    await bus.publishEvent(keyRotated, { slot }, body, { key: `${slot}-rotated` });
  }
  for (const { slot, method, target, label, dueAt, state, why } of keys) {
    if (state === "fresh") continue;
    const body = {
      repositoryId,
      slot,
      method,
      target,
      ...(label === undefined ? {} : { label }),
      dueAt,
      state,
      why,
      at,
    };
    // Once a day: it is a reminder.
    await bus.publishEvent(keyDue, { slot }, body, { key: `${slot}-due-${at.slice(0, 10)}` });
  }
}

/** Replaces this vault's own key when it is due, where that can be done without a person; reminds people of the others. */
export const rotateTask: Task = async (context) => {
  const review = await context.keys.rotate();
  await tell(context, review);
  const asked = review.keys.filter(({ state }) => state !== "fresh");
  const next = review.keys[0];
  const rotated = review.rotated === undefined ? "" : `, key slot ${review.rotated.slot} is new`;
  return {
    summary: `${review.keys.length} keys${next === undefined ? "" : `, the next is due on ${next.dueAt.slice(0, 10)}`}${rotated}`,
    figures: {
      keys: review.keys.length,
      due: review.keys.filter(({ state }) => state === "due").length,
      rotated: review.rotated === undefined ? 0 : 1,
    },
    problems: [...asked.map(problemOf), ...retainedProblems(review)],
  };
};
