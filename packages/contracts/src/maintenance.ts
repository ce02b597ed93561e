import { z } from "zod";
import { errorBody } from "./errors.ts";
import { instant, token, uuid } from "./names.ts";
import { scheduleEntry } from "./plan.ts";

/**
 * What is done for the repository as a whole, and when, where the installation says nothing else: a schedule entry as plans
 * have it, or `off`. A new task is one line here and one in the vault's table (services/vault/src/maintenance/tasks.ts):
 * without the second one it does not compile, and nothing else knows the tasks by name.
 */
export const MAINTENANCE_TASKS = {
  /** Applies each plan's retention. */
  retain: "hourly",
  /** Deletes what no point, hold, log or writer needs, after a grace. */
  gc: "daily",
  /** Reads what every object says of the others. */
  check: "daily",
  /** Reads a part of the data to the last byte. */
  scrub: "hourly",
  /** Replaces keys of the repository that are due, or reminds of them. */
  rotate: "daily",
  /** Looks how far each replica is behind. */
  replicas: "every 15m",
  /** Extends object locks of what lives on; legal holds of held points. */
  lock: "daily",
  /** Moves packs to the storage class that their age asks for. */
  tier: "daily",
} as const satisfies Record<string, string>;

export type MaintenanceTask = keyof typeof MAINTENANCE_TASKS;

const tasks = Object.keys(MAINTENANCE_TASKS) as [MaintenanceTask, ...MaintenanceTask[]]; // of an object that has some
export const maintenanceTask = z.enum(tasks);

/** What a task found wrong. `damage` hurts what is stored; `attention` asks somebody to do something. */
export const maintenanceProblem = z.object({
  severity: z.enum(["attention", "damage"]),
  /** Which object, target or key. */
  where: z.string(),
  why: z.string(),
  hint: z.string().optional(),
});
export type MaintenanceProblem = z.infer<typeof maintenanceProblem>;

export const maintenanceReport = z.object({
  taskId: uuid,
  task: token,
  requestedBy: z.enum(["schedule", "person"]),
  outcome: z.enum(["sound", "problems", "failed"]),
  /** One line for people. */
  summary: z.string(),
  /** Units are in the names. */
  figures: z.record(z.string(), z.number()),
  /** The worst first, at most as many as fit a message. */
  problems: z.array(maintenanceProblem),
  /** How many there are. */
  problemCount: z.number().int().nonnegative(),
  error: errorBody.optional(),
  startedAt: instant,
  finishedAt: instant,
});
export type MaintenanceReport = z.infer<typeof maintenanceReport>;

/** KV `maintenance-ticks`, key `<task>`: through which instant of its schedule a task has been asked for. Only grows. */
export const maintenanceTick = z.object({ through: instant });

const scheduleOrOff = z.union([z.literal("off"), scheduleEntry]);

/** `gc: every 6h; scrub: off; check: 0 5 * * 0`, over the defaults. */
export const maintenanceSchedule = z.string().transform((text, context) => {
  const chosen: Record<string, string> = { ...MAINTENANCE_TASKS };
  for (const part of text.split(";").map((each) => each.trim())) {
    if (part === "") continue;
    const [, task = "", when = ""] = /^([a-z-]+)\s*:\s*(.+)$/.exec(part) ?? [];
    if (!maintenanceTask.safeParse(task).success) {
      const known = tasks.join(", ");
      context.addIssue({
        code: "custom",
        message: `${JSON.stringify(part)} must be <task>: <when>; tasks are ${known}`,
      });
      return z.NEVER;
    }
    chosen[task] = when;
  }
  return Object.entries(chosen).flatMap(([task, when]) => {
    if (when === "off") return [];
    const isCron = when.split(/\s+/).length === 5;
    const entry = scheduleOrOff.safeParse(isCron ? { name: task, cron: when } : when);
    if (entry.success && entry.data !== "off") return [{ task: maintenanceTask.parse(task), entry: entry.data }];
    context.addIssue({ code: "custom", message: `${task}: ${when} is neither off, a preset nor five cron fields` });
    return [];
  });
});
