import type { MaintenanceTask } from "@stillpoint/contracts/maintenance";
import { checkTask } from "./check-task.ts";
import { gcTask } from "./gc-task.ts";
import { lockTask } from "./lock-task.ts";
import { replicasTask } from "./replicas-task.ts";
import { retainTask } from "./retain-task.ts";
import { rotateTask } from "./rotate-task.ts";
import { scrubTask } from "./scrub-task.ts";
import type { Task } from "./task.ts";
import { tierTask } from "./tier-task.ts";

/**
 * What the vault does for the repository as a whole. To add a task: its name and schedule in
 * packages/contracts/src/maintenance.ts, a file beside this one with a `Task`, and a line here. The scheduler asks for it,
 * one vault at a time does it, its result becomes an event, an alert where something is wrong, and a line in
 * `stillpoint status`; none of these needs to be told of it.
 */
export const TASKS: Readonly<Record<MaintenanceTask, Task>> = {
  retain: retainTask,
  gc: gcTask,
  check: checkTask,
  scrub: scrubTask,
  rotate: rotateTask,
  replicas: replicasTask,
  lock: lockTask,
  tier: tierTask,
};
