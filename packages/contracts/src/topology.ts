import type { z } from "zod";
import { condition, notice } from "./alerts.ts";
import { maintenanceReport, maintenanceTick } from "./maintenance.ts";
import { SUBJECT_ROOT } from "./messages.ts";
import {
  agentState,
  alertRules,
  attempts,
  cancellation,
  lease,
  planRevision,
  replayRate,
  requested,
  runSource,
  runState,
  tickState,
  usualPoints,
} from "./state.ts";

const DAY_MS = 86_400_000;

export type StreamDefinition = {
  name: string;
  subjects: string[];
  retention: "workqueue" | "limits";
  /** Milliseconds; 0 keeps for ever. */
  maxAgeMs: number;
  /** A second message of a subject is refused while the first is queued or under way. */
  onePerSubject: boolean;
  duplicateWindowMs: number;
};

export const STREAMS = {
  CMD: {
    name: "CMD",
    subjects: [`${SUBJECT_ROOT}.cmd.>`],
    retention: "workqueue",
    maxAgeMs: 0,
    onePerSubject: true,
    duplicateWindowMs: 3_600_000,
  },
  SUBMIT: {
    name: "SUBMIT",
    subjects: [`${SUBJECT_ROOT}.submit.>`],
    retention: "workqueue",
    maxAgeMs: 0,
    onePerSubject: false,
    duplicateWindowMs: 120_000,
  },
  EVT: {
    name: "EVT",
    subjects: [`${SUBJECT_ROOT}.evt.>`],
    retention: "limits",
    maxAgeMs: 30 * DAY_MS,
    onePerSubject: false,
    duplicateWindowMs: 3_600_000,
  },
  DEAD: {
    name: "DEAD",
    subjects: [
      `${SUBJECT_ROOT}.dead.>`,
      "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>",
      "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>",
    ],
    retention: "limits",
    maxAgeMs: 90 * DAY_MS,
    onePerSubject: false,
    duplicateWindowMs: 3_600_000,
  },
} as const satisfies Record<string, StreamDefinition>;

export type BucketDefinition<Value extends z.ZodType = z.ZodType> = {
  name: string;
  value: Value;
  /** A key that is not written again for this long (ms) is gone. `lease`: the installation's lease time. Absent: never. */
  ttl?: "lease" | number;
  history: number;
};

function bucket<Value extends z.ZodType>(
  name: string,
  value: Value,
  rest: { ttl?: "lease" | number; history?: number } = {},
) {
  return { name, value, history: rest.history ?? 1, ...(rest.ttl === undefined ? {} : { ttl: rest.ttl }) };
}

export const BUCKETS = {
  /** `run.<runId>`, `capture.<plan>.<source>`, `ship.<plan>.<source>`, `validate.<pointId>`. */
  leases: bucket("leases", lease, { ttl: "lease" }),
  /** `<runId>`. */
  runs: bucket("runs", runState, { history: 8 }),
  /** `<runId>.<source>`. */
  runSources: bucket("run-sources", runSource),
  /** `<runId>`. */
  cancellations: bucket("cancellations", cancellation),
  /** `<plan>`: the revision in force. */
  plans: bucket("plans", planRevision),
  /**
   * `<plan>.<revision>`: every accepted revision, written before it is put in force, so that a run or a proof of an older
   * one still finds what it was made by.
   */
  revisions: bucket("revisions", planRevision),
  installation: bucket("installation", alertRules),
  agents: bucket("agents", agentState, { ttl: "lease" }),
  /** `<plan>`. */
  ticks: bucket("ticks", tickState),
  /** `<task>`. */
  maintenanceTicks: bucket("maintenance-ticks", maintenanceTick),
  /** `<task>`: how its last run ended. */
  maintenance: bucket("maintenance", maintenanceReport),
  /** `<plan>`. */
  usual: bucket("usual", usualPoints),
  /** `<plan>.<source>`. */
  replayRates: bucket("replay-rates", replayRate),
  conditions: bucket("conditions", condition),
  outbox: bucket("outbox", notice),
  /** What was asked for under a key of the asker's own: asked again within a day it is the same. */
  requests: bucket("requests", requested, { ttl: DAY_MS }),
  /** `<durable>.<sequence>`: how often a command was begun; the server's own count also grows by waiting for a lease. */
  attempts: bucket("attempts", attempts, { ttl: 7 * DAY_MS }),
} as const satisfies Record<string, BucketDefinition>;
