import type { ErrorBody } from "@stillpoint/contracts/errors";
import type { runFailed, runFinished, runStarted } from "@stillpoint/contracts/events";
import { sql } from "kysely";
import type { z } from "zod";
import type { Database } from "./database.ts";

type Started = z.output<typeof runStarted.body>;
type Finished = z.output<typeof runFinished.body>;
type Failed = z.output<typeof runFailed.body>;

/**
 * A run's row is the same in whatever order its events come: a sealed point outweighs a failure told before or after it,
 * both outweigh the start, and the start only tells when it was.
 */
export async function recordRunStarted(database: Database, { runId, plan, pointId, at }: Started): Promise<void> {
  await database
    .insertInto("runs")
    .values({ run_id: runId, plan, point_id: pointId, state: "running", partial: false, started_at: at })
    .onConflict((conflict) => conflict.column("run_id").doUpdateSet({ started_at: at }))
    .execute();
}

export async function recordRunFinished(database: Database, event: Finished): Promise<void> {
  const { runId, plan, pointId, at, partial } = event;
  const ended = { state: "finished" as const, partial, finished_at: at, error: null };
  await database
    .insertInto("runs")
    .values({ run_id: runId, plan, point_id: pointId, ...ended })
    .onConflict((conflict) => conflict.column("run_id").doUpdateSet(ended))
    .execute();
}

export async function recordRunFailed(database: Database, event: Failed): Promise<void> {
  const { runId, plan, pointId, at } = event;
  const error: ErrorBody = event.error;
  const ended = { state: "failed" as const, finished_at: at, error: JSON.stringify(error) };
  await database
    .insertInto("runs")
    .values({ run_id: runId, plan, point_id: pointId, partial: false, ...ended })
    .onConflict((conflict) =>
      conflict.column("run_id").doUpdateSet(ended).where(sql.ref("runs.state"), "<>", "finished"),
    )
    .execute();
}
