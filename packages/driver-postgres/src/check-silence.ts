import { z } from "zod";
import { type Checked, type Finding, fail, pass } from "./check.ts";
import { rowOf } from "./rows.ts";

/** Processes that a server always has. Others come from libraries or from replication and archiving. */
const OWN = [
  "client backend",
  "checkpointer",
  "background writer",
  "walwriter",
  "autovacuum launcher",
  "autovacuum worker",
  "parallel worker",
  "io worker",
];

const state = z.object({ slots: z.array(z.string()), others: z.array(z.string()), archiveMode: z.string() });

export async function checkSlots(checked: Checked): Promise<Finding> {
  const { slots } = await read(checked);
  return slots.length === 0 ? pass("none") : fail(`the copy holds ${slots.join(", ")}`);
}

/** Nothing in the copy acts by itself: no archiver, no subscription's worker, no library's jobs. */
export async function checkWorkers(checked: Checked): Promise<Finding> {
  const { others, archiveMode } = await read(checked);
  const { preload } = checked;
  // A library that the data needs brings its own processes; what they may do is set to nothing.
  if (archiveMode === "off" && (others.length === 0 || preload.length > 0)) {
    return pass(others.length === 0 ? "no archiver, no replication, no jobs" : `only those of ${preload.join(", ")}`);
  }
  return fail(`archive_mode is ${archiveMode}; running: ${others.join(", ")}`);
}

async function read({ connect }: Checked): Promise<z.infer<typeof state>> {
  await using connection = await connect();
  const [answer] = await connection.query(
    `select array(select slot_name from pg_replication_slots)::text[] as slots,
      array(select distinct backend_type from pg_stat_activity where backend_type <> all($1))::text[] as others,
      current_setting('archive_mode') as "archiveMode"`,
    [OWN],
  );
  return rowOf(answer, state);
}
