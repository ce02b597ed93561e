import type { Bus } from "@stillpoint/bus/bus";
import type { Log } from "@stillpoint/bus/log";
import type { Clock } from "@stillpoint/contracts/clock";
import type { MaintenanceProblem } from "@stillpoint/contracts/maintenance";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import type { OpenTarget } from "@stillpoint/object-store/open-target";
import type { Roles } from "@stillpoint/repository/replicas/find-primary";
import type { Repository } from "@stillpoint/repository/repository";
import type { VaultConfig } from "../config.ts";
import type { KeyCare } from "../key-care.ts";

/** What a task is given. */
export type TaskContext = {
  repository: Repository;
  store: ObjectStore;
  /** Primary and replicas; `store` is the primary's. */
  targets: Roles<OpenTarget>;
  bus: Bus;
  config: Readonly<VaultConfig>;
  clock: Clock;
  log: Log;
  keys: Pick<KeyCare, "rotate">;
};

/** What a task says when it is done. A task that cannot do its work throws; what it found wrong is no reason to. */
export type TaskResult = {
  /** One line for people. */
  summary: string;
  /** Units in the names: `freedBytes`, `lagMs`. */
  figures: Record<string, number>;
  problems: MaintenanceProblem[];
};

/** `signal` fires when this process stops or the task's lease is lost: end soon, another goes on. */
export type Task = (context: TaskContext, signal: AbortSignal) => Promise<TaskResult>;
